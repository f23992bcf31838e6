package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// What is wrong is said once, in plain words, with what it means; something else that is wrong is said too, and when it is over.
func TestOutageIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := &outage{log: slog.New(slog.NewTextHandler(&out, nil)), controller: "unix:///c.sock"}
		said := func(want ...string) {
			t.Helper()
			text := out.String()
			out.Reset()
			if n := strings.Count(text, "\n"); n != min(len(want), 1) {
				t.Errorf("%d lines: %s", n, text)
			}
			for _, w := range want {
				if !strings.Contains(text, w) {
					t.Errorf("without %q: %s", w, text)
				}
			}
		}
		o.answered(0)
		said()
		gone := status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial unix /c.sock: connect: connection refused"`)
		o.failed(gone, 2, 1)
		said("can't be reached", "controller=unix:///c.sock", "running=2 results=1", `error="dial unix /c.sock: connect: connection refused"`)
		time.Sleep(time.Minute)
		o.failed(gone, 2, 1)
		said()
		o.failed(status.Error(codes.Unavailable, `connection error: desc = "transport: authentication handshake failed: x509: certificate has expired"`), 2, 1)
		said("can't be reached", `error="authentication handshake failed: x509: certificate has expired"`)
		o.failed(status.Error(codes.Unavailable, `connection error: desc = "error reading from server: EOF", received prior goaway: code: NO_ERROR`), 2, 1)
		said("can't be reached", `error="it has ended the connection"`)
		o.failed(status.Error(codes.FailedPrecondition, "library north is driven by agent b"), 0, 0)
		said("refuses what this agent tells it", "driven by agent b")
		o.failed(status.Error(codes.PermissionDenied, "no"), 0, 0)
		said("doesn't let this agent in")
		time.Sleep(time.Minute)
		o.answered(3)
		said("answers again", "after=2m0s", "results=3")
		o.answered(0)
		said()
	})
}

// What gRPC says of a socket where nobody listens, and of one that is closed at once, is made plain: its words are its own, and may change.
func TestOutageOfGRPC(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	conn, err := dial(Config{Controller: "unix://" + socket})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call := func() string {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := pb.NewAgentServiceClient(conn).Synchronize(ctx, &pb.SynchronizeRequest{})
		if err == nil {
			t.Fatal("nobody listens, and it is answered")
		}
		return plainly(status.Convert(err).Message())
	}
	if got := call(); !strings.HasPrefix(got, "dial unix "+socket+": ") {
		t.Errorf("%q", got)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err == nil {
				c.Close()
			}
		}
	}()
	if got := call(); strings.Contains(got, "desc =") || strings.Contains(got, "transport") {
		t.Errorf("%q", got)
	}
	l.Close()
	<-ended
}
