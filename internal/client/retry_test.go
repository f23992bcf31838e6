package client

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var errRefused = status.Error(codes.Unavailable, "connection error: desc = \"transport: connect: connection refused\"")

// A controller that was never there is an error within seconds; one that went away is waited for, and that is said.
func TestPatience(t *testing.T) {
	busy := status.Error(codes.Unavailable, "the controller can't do this now")
	for _, c := range []struct {
		name        string
		answered    bool
		err         error
		least, most time.Duration
	}{
		{"never there", false, errRefused, 0, firstPatience},
		{"went away", true, errRefused, patience - 2*lastWait, patience},
		{"has no time", false, busy, patience - 2*lastWait, patience},
		{"says no", true, status.Error(codes.NotFound, "no"), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := &Client{}
				told := 0
				start := time.Now()
				x.Retrying = func(err error, until time.Time) {
					told++
					if !errors.Is(err, c.err) || until.Sub(start) > c.most {
						t.Errorf("told of %v until %v after the start", err, until.Sub(start))
					}
				}
				if c.answered {
					if err := x.retry(t.Context(), always, func() error { return nil }); err != nil {
						t.Fatal(err)
					}
				}
				if err := x.retry(t.Context(), always, func() error { return c.err }); !errors.Is(err, c.err) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took < c.least || took > c.most {
					t.Errorf("it took %v, want %v to %v", took, c.least, c.most)
				}
				if (told > 0) != (c.most > 0) {
					t.Errorf("told %d times", told)
				}
			})
		})
	}
}

// What gets further now and then is never given up.
func TestPatienceBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, tries := int64(0), 0
		x := &Client{}
		x.met.Store(true)
		err := x.retry(t.Context(), func() int64 { return made }, func() error {
			if tries++; tries%10 == 0 {
				made++
			}
			if tries == 200 {
				return nil
			}
			return errRefused
		})
		if err != nil {
			t.Errorf("given up after %d tries: %v", tries, err)
		}
	})
}

func TestPatienceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		x := &Client{}
		x.met.Store(true)
		if err := x.retry(ctx, always, func() error { return errRefused }); err == nil || err.Error() != "enough" {
			t.Errorf("got %v", err)
		}
	})
}

// What gRPC says of a connection that is refused is what Unreachable looks for.
func TestUnreachable(t *testing.T) {
	c, err := dial("127.0.0.1:1", nil, grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errors.New("refused") }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	if _, err = c.Put(t.Context(), Put{Dir: t.TempDir()}); !Unreachable(err) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > firstPatience+5*time.Second {
		t.Errorf("it took %v", took)
	}
}
