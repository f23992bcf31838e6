package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Task is a leased task as its agent needs it.
type Task struct {
	Ref      Ref
	Kind     library.TaskKind
	ImageID  string
	Sectors  int64
	Layer    int64 // sectors of each layer of the image's error correction; 0: none
	SHA256   []byte
	Drive    int
	From, To Place
	DiscID   int64
	Copy     bool         // of a read: the whole image goes to the scratch disk
	Extents  []ReadExtent // of a read or a serve, in ascending order of sectors
	// Of a verify: where an earlier one was broken off, and whether it is a scrub, which a disc passes that can be repaired.
	Resume *Checkpoint
	Scrub  bool
	// SpareAreas says of a burn that the disc is formatted with them first.
	SpareAreas bool
	// Of a task of a set, and of a parity image's build.
	Set *SetWork
	// Of a copy, a read of rows, a rebuild and an early serve, where it has to do with a copy that lacks sectors.
	Torn *TornWork
	// Of a serve: the early pass that it ends; 0 for none.
	Early int64
}

// ReadExtent is an extent that a retrieval waits for.
type ReadExtent struct {
	Hash                         []byte
	Size, Offset, Length, Sector int64
}

// MaxExtents is how many extents one read task brings back at most; what remains makes another.
const MaxExtents = 16384

const selectLeased = `
select t.id, t.epoch, t.kind, coalesce(i.id::text, ''), coalesce(i.sectors, 0), coalesce(i.layer_sectors, 0), i.sha256, coalesce(t.drive, 0),
       coalesce(t.from_kind::text, ''), coalesce(t.from_number, 0), coalesce(t.to_kind::text, ''), coalesce(t.to_number, 0), coalesce(t.disc_id, 0), t.kind = 'read' and t.image_id is not null,
       coalesce(r.done, 0), r.hash_state, coalesce(r.unreadable, 0), t.kind = 'verify' and d.state in ('good', 'suspect'), t.kind = 'burn' and coalesce(d.spare_areas, false), case when t.kind = 'serve' then coalesce(t.early, 0) else 0 end, t.library_id::text
  from task t left join disc d on d.id = t.disc_id left join image i on i.id = coalesce(t.image_id, d.image_id)
  left join reading r on t.kind = 'verify' and r.disc_id = d.id and r.finished is null
 where t.library_id = any ($1::uuid[]) and t.state = 'leased' order by t.id`

// collectLeased returns leased tasks by their libraries.
func collectLeased(rows pgx.Rows) (map[string][]Task, error) {
	all := map[string][]Task{}
	for rows.Next() {
		var t Task
		var lib string
		var from Checkpoint
		if err := rows.Scan(&t.Ref.ID, &t.Ref.Epoch, &t.Kind, &t.ImageID, &t.Sectors, &t.Layer, &t.SHA256, &t.Drive,
			&t.From.Kind, &t.From.Number, &t.To.Kind, &t.To.Number, &t.DiscID, &t.Copy, &from.Sector, &from.HashState, &from.Unreadable, &t.Scrub, &t.SpareAreas, &t.Early, &lib); err != nil {
			return nil, err
		}
		if from.Sector > 0 {
			t.Resume = &from
		}
		all[lib] = append(all[lib], t)
	}
	return all, rows.Err()
}

// Leased returns the tasks that the library's agent should be running. The work of those in running is left out.
func (s *Store) Leased(ctx context.Context, lib string, running []Ref) ([]Task, error) {
	rows, err := s.pool.Query(ctx, selectLeased, []string{lib})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	leased, err := collectLeased(rows)
	if err != nil {
		return nil, err
	}
	tasks := leased[lib]
	return tasks, s.withExtents(ctx, tasks, refsOf(running))
}

func refsOf(running []Ref) map[Ref]bool {
	known := make(map[Ref]bool, len(running))
	for _, r := range running {
		known[r] = true
	}
	return known
}

// withExtents fills in what reads that aren't known bring back.
func (s *Store) withExtents(ctx context.Context, tasks []Task, known map[Ref]bool) (err error) {
	for i := range tasks {
		if t := &tasks[i]; t.Kind == library.ReadTask && !t.Copy && !known[t.Ref] {
			if t.Extents, err = s.wanted(ctx, t.DiscID); err != nil {
				return err
			}
		}
		if t := &tasks[i]; t.Kind == library.ServeTask && !known[t.Ref] {
			if t.Extents, err = s.wantedOf(ctx, t.ImageID, t.Early); err != nil {
				return err
			}
		}
		if t := &tasks[i]; (t.Copy || t.Kind == library.RebuildTask || t.Early != 0) && !known[t.Ref] {
			if t.Torn, err = s.tornWork(ctx, t.Ref.ID, t.Kind); err != nil {
				return err
			}
		}
		switch t := &tasks[i]; t.Kind {
		case library.BuildTask, library.GatherTask, library.SealTask, library.RebuildTask, library.ReleaseTask, library.ServeTask:
			if known[t.Ref] {
				continue
			}
			if t.Set, err = s.setWork(ctx, t.Ref.ID, t.ImageID); err != nil {
				return err
			}
		}
	}
	return nil
}

// wantedContents are the contents on a disc ($1) that running retrievals wait for and that it may be able to give.
const wantedContents = `
  from disc d
  join extent x on x.image_id = d.image_id
  join content c on c.id = x.content_id and not c.staged and (c.cached_until is null or c.cached_until < now())
 where d.id = $1
   and exists (select from retrieval_content rc join job j on j.id = rc.retrieval_id where rc.content_id = c.id and j.state = 'running')
   and not exists (select from read_failure f where f.disc_id = d.id and f.content_id = c.id)
   and not exists (select from cache_part p where p.content_id = c.id and p.content_offset = x.content_offset)`

func (s *Store) wanted(ctx context.Context, disc int64) ([]ReadExtent, error) {
	rows, err := s.pool.Query(ctx, `select c.hash, c.size, x.content_offset, x.length, x.sector`+wantedContents+` order by x.sector limit $2`, disc, MaxExtents)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ReadExtent])
}
