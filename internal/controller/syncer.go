package controller

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library/postgres"
)

// syncer makes segments of the cache durable after their contents were recorded, so that nobody who waits for contents waits for the
// disk. Until then the catalogue knows in which boot of the machine they were written: a process that dies costs nothing, and when
// the machine does, they are forgotten and read from disc again. A retrieval has succeeded only when all that it brought is durable.
type syncer struct {
	store   *postgres.Store
	staging *staging.Store
	log     *slog.Logger
	boot    string

	mu    sync.Mutex
	ids   []int64
	woken chan struct{} // holds one
}

// newSyncer forgets what was lost with an earlier boot, and takes over what a process before this one left.
func newSyncer(ctx context.Context, store *postgres.Store, stage *staging.Store, log *slog.Logger) (*syncer, error) {
	s := &syncer{store: store, staging: stage, log: log, boot: bootID(), woken: make(chan struct{}, 1)}
	left, err := store.Unsynced(ctx, s.boot)
	if err != nil {
		return nil, err
	}
	for _, id := range left {
		s.add(id)
	}
	return s, nil
}

// bootID names the machine's boot; where there is no name for that, what is not durable must be forgotten with the process.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // proc(5)
	if id, e := uuid.Parse(strings.TrimSpace(string(b))); err == nil && e == nil {
		return id.String()
	}
	return uuid.NewString()
}

// bootID is empty for what is made durable first.
func (s *syncer) bootID() string {
	if s == nil {
		return ""
	}
	return s.boot
}

// add asks for a segment, to which nothing is appended any more, to be made durable.
func (s *syncer) add(id int64) {
	s.keep(id)
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *syncer) keep(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
}

func (s *syncer) take() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = nil
	return ids
}

// syncRetry is when the catalogue is asked again after it failed.
const syncRetry = time.Second

func (s *syncer) run(ctx context.Context) error {
	for {
		var again <-chan time.Time
		for _, id := range s.take() {
			if err := s.sync(ctx, id); err != nil && ctx.Err() == nil {
				s.log.Error("recording that a segment is durable failed; it is tried again", "segment", id, "error", err)
				s.keep(id)
				again = time.After(syncRetry)
			}
		}
		select {
		case <-s.woken:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *syncer) sync(ctx context.Context, id int64) error {
	if err := s.staging.Sync(id); err != nil {
		s.log.Error("the cache lost a segment; it is read from disc again", "segment", id, "error", err)
		return s.store.ForgetSegment(ctx, id)
	}
	return s.store.Synced(ctx, id)
}
