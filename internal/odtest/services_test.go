package odtest

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
)

// The controller says whether it serves, and what: to programs that know nothing of our contract.
func TestHealthAndReflection(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Blanks: 1})
	conn, err := grpc.NewClient(s.address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	answer, err := health.NewHealthClient(conn).Check(t.Context(), &health.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != health.HealthCheckResponse_SERVING {
		t.Errorf("its health is %v: %v", answer, err)
	}

	stream, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(req *reflection.ServerReflectionRequest) *reflection.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	list := ask(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}})
	var names []string
	for _, service := range list.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	for _, want := range []string{
		"VaultService", "ArchiveService", "RetrievalService", "JobService", "LibraryService", "HealthService", "AgentService",
	} {
		name := "odarchive.v1." + want
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %q", name, names)
			continue
		}
		described := ask(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}})
		if len(described.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
			t.Errorf("%s is not described: %v", name, described)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}
