package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// shelf is an archive whose contents lie on the first disc of an agent's library, and of which a retrieval wants all.
type shelf struct {
	*testing.T
	*agent
	retrieval string
	contents  []archive.Content
}

func newShelf(t *testing.T, s *Store, contents int) *shelf {
	f := &shelf{T: t, agent: newAgent(t, s, "shelf", 1), retrieval: uuid.NewString()}
	id := uuid.NewString()
	f.exec(`update image set sectors = 100000`)
	f.exec(`update disc set capacity = 100000, recorded = 100000`)
	f.exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes, planned, safe)
select $1, id, 'a', $2, 1, $3, 2048, true, now() from vault where name = 'v'`, id, imageHash, contents)
	f.exec(`insert into job (id, kind, archive_id, state, finished) values (gen_random_uuid(), 'archive', $1, 'succeeded', now())`, id)
	var hashes [][]byte
	for n := range contents {
		c := archive.Content{Hash: sha256.Sum256(fmt.Append(nil, n)), Size: 2048}
		f.contents, hashes = append(f.contents, c), append(hashes, c.Hash[:])
	}
	f.exec(`
with u as (select h, n from unnest($1::bytea[]) with ordinality u(h, n)),
c as (
  insert into content (vault_id, hash, size, sealed, planned, staged) select v.id, h, 2048, true, true, false from vault v, u where v.name = 'v' returning id, hash),
x as (insert into extent (image_id, content_id, content_offset, length, sector) select i.id, c.id, 0, 2048, 9 + n from image i, c join u on u.h = c.hash)
insert into entry (archive_id, path, kind, mode, uid, gid, mtime_seconds, mtime_nanoseconds, content_id)
select $2, convert_to(lpad(n::text, 6, '0'), 'UTF8'), 'f', 420, 0, 0, 0, 0, c.id from c join u on u.h = c.hash`, hashes, id)
	if _, err := s.StartRetrieval(t.Context(), f.retrieval, id, nil, library.Standard); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *shelf) exec(sql string, args ...any) {
	f.Helper()
	if _, err := f.s.pool.Exec(f.Context(), sql, args...); err != nil {
		f.Fatal(err)
	}
}

// reading turns until the read is leased.
func (f *shelf) reading() Ref {
	f.Helper()
	f.refuse = func(t Task) bool { return t.Kind == library.ReadTask }
	for range 20 {
		if _, err := f.turn(f.Context()); err != nil {
			f.Fatal(err)
		}
		leased, err := f.s.Leased(f.Context(), f.lib, nil)
		if err != nil {
			f.Fatal(err)
		}
		for _, t := range leased {
			if t.Kind == library.ReadTask {
				return t.Ref
			}
		}
	}
	f.Fatal("no read was leased")
	return Ref{}
}

// cached brings contents into a segment of their own.
func (f *shelf) cached(ref Ref, boot string, contents ...archive.Content) (segment int64) {
	f.Helper()
	segment, err := f.s.NewSegment(f.Context(), boot)
	if err != nil {
		f.Fatal(err)
	}
	var staged []Staged
	for i, c := range contents {
		staged = append(staged, Staged{Content: c, Segment: segment, Offset: int64(i) * 2048})
	}
	if err := f.s.Cached(f.Context(), ref, staged); err != nil {
		f.Fatal(err)
	}
	return segment
}

func (f *shelf) arrivals(after int64) (n int, last int64, state library.JobState) {
	f.Helper()
	hashes, last, state, err := f.s.Arrivals(f.Context(), f.retrieval, after, 100)
	if err != nil {
		f.Fatal(err)
	}
	return len(hashes), last, state
}

// What comes back is announced once, in the order of its coming, and can be had before the rest has come.
func TestArrivals(t *testing.T) {
	f := newShelf(t, open(t), 3)
	if n, _, state := f.arrivals(0); n != 0 || state != library.Running {
		t.Fatalf("%d contents came before anything was read, the job is %s", n, state)
	}
	ref := f.reading()
	f.cached(ref, "", f.contents[1])
	n, last, _ := f.arrivals(0)
	if n != 1 {
		t.Fatalf("%d contents came, want 1", n)
	}
	if l, err := f.s.Locate(t.Context(), f.retrieval, [][]byte{f.contents[1].Hash[:]}); err != nil || len(l) != 1 {
		t.Fatalf("what is here while the retrieval runs: %v %v", l, err)
	}
	if _, err := f.s.Locate(t.Context(), f.retrieval, [][]byte{f.contents[0].Hash[:]}); library.FaultOf(err) != library.NotFound {
		t.Fatalf("what is not here: %v", err)
	}
	f.cached(ref, "", f.contents[0], f.contents[2])
	if n, _, state := f.arrivals(last); n != 2 || state != library.Succeeded {
		t.Fatalf("%d more contents came, want 2; the job is %s", n, state)
	}
	if n, _, _ := f.arrivals(0); n != 3 {
		t.Fatalf("%d contents came in all, want 3", n)
	}
}

// A retrieval has succeeded when what it brought is durable; what was not when the machine went down is read once more.
func TestUnsynced(t *testing.T) {
	boot, other := uuid.NewString(), uuid.NewString()
	state := func(f *shelf) library.JobState {
		_, _, state := f.arrivals(0)
		return state
	}
	reads := func(f *shelf) (n int) {
		if err := f.s.pool.QueryRow(t.Context(), `select count(*) from task where kind = 'read' and state = 'queued'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// finish ends the read; without it the catalogue rightly trusts that it goes on to bring what is missing.
	finish := func(f *shelf, ref Ref) {
		if _, err := f.s.Called(t.Context(), Call{Agent: f.name, Instance: "1", Library: f.name, Results: []Result{{Ref: ref, Seconds: 1, Bytes: 4096}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		after func(ctx context.Context, s *Store, segment int64) error
		state library.JobState
		reads int
	}{
		{"synced", func(ctx context.Context, s *Store, segment int64) error { return s.Synced(ctx, segment) }, library.Succeeded, 0},
		{"the same boot", func(ctx context.Context, s *Store, segment int64) error {
			left, err := s.Unsynced(ctx, boot)
			if err == nil && (len(left) != 1 || left[0] != segment) {
				err = fmt.Errorf("segments %v are to be synced, want %d", left, segment)
			}
			return err
		}, library.Running, 0},
		{"another boot", func(ctx context.Context, s *Store, segment int64) error {
			left, err := s.Unsynced(ctx, other)
			if err == nil && len(left) > 0 {
				err = fmt.Errorf("segments %v of another boot are to be synced", left)
			}
			return err
		}, library.Running, 1},
		{"the disk failed", func(ctx context.Context, s *Store, segment int64) error { return s.ForgetSegment(ctx, segment) }, library.Running, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newShelf(t, open(t), 2)
			ref := f.reading()
			segment := f.cached(ref, boot, f.contents...)
			finish(f, ref)
			if got := state(f); got != library.Running {
				t.Fatalf("nothing is durable, and the job is %s", got)
			}
			if n, _, _ := f.arrivals(0); n != 2 {
				t.Fatalf("%d contents are within reach, want 2", n)
			}
			if err := c.after(t.Context(), f.s, segment); err != nil {
				t.Fatal(err)
			}
			if got := state(f); got != c.state {
				t.Errorf("the job is %s, want %s", got, c.state)
			}
			if got := reads(f); got != c.reads {
				t.Errorf("%d reads are queued, want %d", got, c.reads)
			}
		})
	}
}
