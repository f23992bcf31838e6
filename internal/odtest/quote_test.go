package odtest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// What was quoted is started with its deadline, once; what agents measured shows.
func TestQuote(t *testing.T) {
	s := New(t, Options{Speed: 60, ReadRate: 20 << 20, WriteRate: 10 << 20, Sectors: 3000})
	source := s.path("source")
	s.fill(source, 7)
	a, err := s.Client.Put(t.Context(), client.Put{Dir: source, Flush: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	q, err := s.Client.Retrievals.QuoteRetrieval(t.Context(), &pb.QuoteRetrievalRequest{ArchiveId: a.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", q)
	if len(q.GetDiscs()) == 0 || q.GetBytes() < 9<<20 || !q.GetInTime() || q.GetSeconds_50() <= 0 || q.GetSeconds_50() > q.GetSeconds_99_9() {
		t.Errorf("a strange quote: %v", q)
	}
	hasty, err := s.Client.Retrievals.QuoteRetrieval(t.Context(), &pb.QuoteRetrievalRequest{ArchiveId: a.GetId(), WithinSeconds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if hasty.GetSeconds_99_9() > 1 && (hasty.GetInTime() || time.Until(hasty.GetDue().AsTime()) < time.Second) {
		t.Errorf("what can't be kept gets no counter-offer: %v", hasty)
	}
	if _, err := s.Client.Retrievals.QuoteRetrieval(t.Context(), &pb.QuoteRetrievalRequest{ArchiveId: a.GetId(), WithinSeconds: -1}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a deadline in the past: %v", err)
	}
	accept := func(id, quote string, paths ...[]byte) error {
		_, err := s.Client.Retrievals.StartRetrieval(context.WithoutCancel(t.Context()), &pb.StartRetrievalRequest{Id: id, ArchiveId: a.GetId(), QuoteId: quote, Paths: paths})
		return err
	}
	id := uuid.NewString()
	if err := accept(uuid.NewString(), q.GetId(), []byte("small")); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a quote of everything accepted for a part: %v", err)
	}
	for range 2 { // it is idempotent
		if err := accept(id, q.GetId()); err != nil {
			t.Fatal(err)
		}
	}
	if err := accept(uuid.NewString(), q.GetId()); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a quote accepted twice: %v", err)
	}
	if err := accept(uuid.NewString(), uuid.NewString()); status.Code(err) != codes.NotFound {
		t.Errorf("a quote that nobody made: %v", err)
	}
	if _, err := s.Client.Wait(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	again, err := s.Client.Retrievals.QuoteRetrieval(t.Context(), &pb.QuoteRetrievalRequest{ArchiveId: a.GetId()})
	if err != nil || len(again.GetDiscs()) != 0 {
		t.Errorf("what is in the cache needs discs: %v %v", again, err)
	}
	libs, err := s.Client.Library.ListLibraries(t.Context(), &pb.ListLibrariesRequest{})
	if err != nil || len(libs.GetLibraries()) != 1 || libs.GetLibraries()[0].GetEvacuationSeconds() <= 0 {
		t.Errorf("no time to evacuate the library: %v %v", libs, err)
	}
}
