package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/snapshot"
)

// Snapshot is what the parity discs of a set carry of the catalogue.
type Snapshot struct {
	ID       string
	Place    int  // in its chain; 0 is full
	Complete bool // nothing was left out for want of room
	Bytes    int64
	SHA256   []byte
}

// TakeSnapshot makes the snapshot for the parity discs of a set, in at most room bytes, and keeps it; the one that was made before is
// returned as it is. It is nil when there is no room for any. All of it is of one moment. What has not been changed since the last one of
// the same library is left out, as long as that can be had and snapshot.Full allows it.
func (s *Store) TakeSnapshot(ctx context.Context, set string, room int64) (taken *Snapshot, err error) {
	for attempt := 0; ; attempt++ {
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
			taken, err = s.photograph(ctx, tx, set, room)
			return err
		})
		if (again(err) || violates(err, "snapshot_set_id_key")) && attempt < 5 { // another controller was faster
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("take a snapshot for set %s: %w", set, err)
		}
		return taken, nil
	}
}

const selectSnapshot = `select id::text, place, complete, bytes, sha256 from snapshot where `

// photograph makes the rows of a snapshot in tx. It reads in another transaction, which sees one moment and never waits.
func (s *Store) photograph(ctx context.Context, tx pgx.Tx, set string, room int64) (*Snapshot, error) {
	var lib string
	if err := tx.QueryRow(ctx, `select library_id::text from disc_set where id = $1 and state = 'sealed'`, set).Scan(&lib); err != nil {
		return nil, notFound(err, "set %s is not sealed", set)
	}
	rows, err := tx.Query(ctx, selectSnapshot+`set_id = $1`, set)
	if err != nil {
		return nil, err
	}
	if known, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[Snapshot]); err != nil {
		return nil, err
	} else if len(known) > 0 {
		return known[0], nil
	}
	h := snapshot.Header{ID: uuid.NewString(), Library: lib, Set: set}
	pieces := &pieceWriter{ctx: ctx, tx: tx, id: h.ID}
	var m moment
	var sum snapshot.Summary
	if err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(still pgx.Tx) (err error) {
		sum, err = m.write(ctx, still, h, pieces, room)
		return err
	}); errors.Is(err, snapshot.ErrFull) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := pieces.flush(); err != nil {
		return nil, err
	}
	var follows *string
	if sum.Follows != nil {
		follows = &sum.Follows.ID
	}
	_, err = tx.Exec(ctx, `
insert into snapshot (id, library_id, set_id, follows, place, taken, complete, seen, origin, bytes, sha256) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		h.ID, lib, set, follows, sum.Number, sum.Taken, sum.Complete, m.seen, m.origin, sum.Bytes, sum.SHA256[:])
	return &Snapshot{h.ID, sum.Number, sum.Complete, sum.Bytes, sum.SHA256[:]}, err
}

// write writes what tx sees to w. It fails with snapshot.ErrFull when there is no room for anything.
func (m *moment) write(ctx context.Context, tx pgx.Tx, h snapshot.Header, to io.Writer, room int64) (snapshot.Summary, error) {
	if err := tx.QueryRow(ctx, `
select now(), pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint,
       (select system_identifier from pg_control_system())::text || '/' || (select oid from pg_database where datname = current_database())
  from pg_current_snapshot() s`).Scan(&h.Taken, &m.seen, &m.next, &m.origin); err != nil {
		return snapshot.Summary{}, err
	}
	since, err := m.follow(ctx, tx, &h)
	if err != nil {
		return snapshot.Summary{}, err
	}
	w, err := snapshot.NewWriter(to, h, room)
	if err != nil {
		return snapshot.Summary{}, err
	}
	if err := export(ctx, tx, w, since, m.next); err != nil && !errors.Is(err, snapshot.ErrFull) {
		_, closing := w.Close()
		return snapshot.Summary{}, errors.Join(err, closing)
	}
	return w.Close()
}

// moment is when a snapshot is taken. Whatever transactions with numbers below seen have done is in it, and nothing that those
// from next on do.
type moment struct {
	seen, next int64
	origin     string
}

// follow decides which snapshot a new one follows, and returns from which transaction on changes are not in that; nil when it is to be full:
// because there is none, one of the chain was cut or can't be had from any disc, the database is another, or snapshot.Full says so.
func (m *moment) follow(ctx context.Context, tx pgx.Tx, h *snapshot.Header) (since *int64, err error) {
	rows, err := tx.Query(ctx, `
with recursive last as (
  select * from snapshot where library_id = $1 order by number desc limit 1),
chain as (
  select * from last union all select s.* from chain c join snapshot s on s.id = c.follows)
select c.id::text, c.place, c.bytes, c.sha256, c.seen,
       c.complete and c.origin = $2 and (
         not exists (select from image i join disc_set s on s.id = i.set_id and i.set_index >= s.data where s.id = c.set_id)
         or exists (select from image i join disc_set s on s.id = i.set_id and i.set_index >= s.data
              where s.id = c.set_id and (
                exists (select from disc d where d.image_id = i.id and d.state in ('burning', 'verifying', 'good', 'suspect'))
                or exists (select from task t where t.image_id = i.id and t.state in ('queued', 'leased') and t.kind in ('build', 'burn')))))
  from chain c order by c.place`, h.Library, m.origin)
	if err != nil {
		return nil, err
	}
	type link struct {
		id     string
		place  int
		bytes  int64
		sha256 []byte
		seen   int64
		good   bool
	}
	chain, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l link, err error) {
		err = row.Scan(&l.id, &l.place, &l.bytes, &l.sha256, &l.seen, &l.good)
		return l, err
	})
	if err != nil || len(chain) == 0 {
		return nil, err
	}
	var following []int64
	for i, l := range chain {
		if !l.good || l.seen > m.next {
			return nil, nil
		}
		if i > 0 {
			following = append(following, l.bytes)
		}
	}
	if snapshot.Full(chain[0].bytes, following) {
		return nil, nil
	}
	last := chain[len(chain)-1]
	h.Number, h.Follows = last.place+1, &snapshot.Link{ID: last.id, SHA256: archive.Hash(last.sha256)}
	return &last.seen, nil
}

// pieceSize is how many bytes of a snapshot make a row.
const pieceSize = 1 << 20

// pieceWriter keeps what is written to it as the pieces of a snapshot.
type pieceWriter struct {
	ctx    context.Context
	tx     pgx.Tx
	id     string
	number int
	data   []byte
}

func (w *pieceWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+pieceSize-len(w.data))]
		w.data, n = append(w.data, part...), n+len(part)
		if len(w.data) == pieceSize {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (w *pieceWriter) flush() error {
	if len(w.data) == 0 {
		return nil
	}
	_, err := w.tx.Exec(w.ctx, `insert into snapshot_piece (snapshot_id, number, data) values ($1, $2, $3)`, w.id, w.number, w.data)
	w.number, w.data = w.number+1, w.data[:0]
	return err
}

// SnapshotPieces returns the bytes of a snapshot, in order, in pieces of at most a megabyte.
func (s *Store) SnapshotPieces(ctx context.Context, id string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for n := 0; ; n++ {
			var data []byte
			err := s.pool.QueryRow(ctx, `select data from snapshot_piece where snapshot_id::text = $1 and number = $2`, id, n).Scan(&data)
			if errors.Is(err, pgx.ErrNoRows) && n > 0 {
				return
			}
			if !yield(data, notFound(err, "there is no snapshot %s", id)) || err != nil {
				return
			}
		}
	}
}

// OpenSnapshot opens the bytes of a snapshot.
func (s *Store) OpenSnapshot(ctx context.Context, id string) io.ReadCloser {
	next, stop := iter.Pull2(s.SnapshotPieces(ctx, id))
	return &pieceReader{next: next, stop: stop}
}

type pieceReader struct {
	next func() ([]byte, error, bool)
	stop func()
	data []byte
}

func (r *pieceReader) Read(p []byte) (int, error) {
	for len(r.data) == 0 {
		data, err, ok := r.next()
		if !ok {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		r.data = data
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

func (r *pieceReader) Close() error {
	r.stop()
	return nil
}

// ParityDisc is what a parity disc carries besides what decodes it.
type ParityDisc struct {
	Info     []byte // disc_info.json
	Snapshot *Snapshot
}

// saveParityDisc keeps what a parity image carries.
func saveParityDisc(ctx context.Context, tx pgx.Tx, image string, p *ParityDisc) error {
	if p == nil {
		return nil
	}
	var id *string
	if p.Snapshot != nil {
		id = &p.Snapshot.ID
	}
	_, err := tx.Exec(ctx, `insert into parity_disc (image_id, info, snapshot_id) values ($1, $2, $3)`, image, p.Info, id)
	return err
}

// parityDisc returns what a parity image carries; nil for nothing.
func (s *Store) parityDisc(ctx context.Context, image string) (*ParityDisc, error) {
	p := &ParityDisc{}
	var id *string
	err := s.pool.QueryRow(ctx, `select info, snapshot_id::text from parity_disc where image_id = $1`, image).Scan(&p.Info, &id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil || id == nil {
		return p, err
	}
	rows, err := s.pool.Query(ctx, selectSnapshot+`id = $1`, *id)
	if err != nil {
		return nil, err
	}
	p.Snapshot, err = pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByPos[Snapshot])
	return p, err
}
