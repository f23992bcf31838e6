package controller

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/internal/pgserver/pgtest"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// newCatalogue opens a catalogue of its own, and returns its address too.
func newCatalogue(t *testing.T) (*postgres.Store, string) {
	t.Helper()
	dsn := pgtest.New(t, "controller", func(ctx context.Context, dsn string) error {
		s, err := postgres.Open(ctx, dsn)
		if err == nil {
			s.Close()
		}
		return err
	})
	s, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, dsn
}

// segmentsIn makes segments of the cache that wait to be made durable.
func segmentsIn(t *testing.T, store *postgres.Store, stage *staging.Store, boot string, n int) {
	t.Helper()
	for range n {
		id, err := store.NewSegment(t.Context(), boot)
		if err != nil {
			t.Fatal(err)
		}
		s, err := stage.Create(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("what was read")); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
}

// What an earlier process of this boot left is made durable, with what comes later, and what an earlier boot left is forgotten; a
// catalogue that is away for a while is asked again.
func TestSyncer(t *testing.T) {
	store, dsn := newCatalogue(t)
	stage, err := staging.Open(staging.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	boot := bootID()
	segmentsIn(t, store, stage, uuid.NewString(), 2)
	segmentsIn(t, store, stage, boot, 3)
	dying, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSyncer(t.Context(), dying, stage, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	left := func() int {
		t.Helper()
		ids, err := store.Unsynced(t.Context(), boot)
		if err != nil {
			t.Fatal(err)
		}
		return len(ids)
	}
	if n := len(s.take()); n != 3 {
		t.Fatalf("%d segments are taken over, want 3", n)
	}
	dying.Close() // nothing can be recorded
	ids, err := store.Unsynced(t.Context(), boot)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		s.add(id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { s.run(ctx) })
	eventually(t, "they are tried", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.ids) == 3 // kept for another time
	})
	if n := left(); n != 3 {
		t.Errorf("%d segments are recorded as not durable, want 3", n)
	}
	cancel()
	running.Wait()

	s.store = store
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	running.Go(func() { s.run(ctx) })
	segmentsIn(t, store, stage, boot, 1)
	if ids, err = store.Unsynced(t.Context(), boot); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		s.add(id) // once more does no harm
	}
	eventually(t, "all are durable", func() bool { return left() == 0 })
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}
