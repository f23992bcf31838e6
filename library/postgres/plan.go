package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// Pending is what waits in a vault for being planned onto images.
type Pending struct {
	Vault    Vault
	Archives []PendingArchive
	// Contents and Bytes are of the contents that are on no image yet.
	Contents int64
	Bytes    int64
	// Due says that discs are to be made even if the last is not full.
	Due bool
}

// PendingArchive is a sealed archive of which something is on no image yet.
type PendingArchive struct {
	ID           string
	Name         string
	Description  string
	RootHash     []byte
	ManifestSize int64
	Sealed       time.Time
}

// Pending returns the vaults in which something waits.
func (s *Store) Pending(ctx context.Context) ([]Pending, error) {
	rows, err := s.pool.Query(ctx, selectVault+` where exists (select from archive x where x.vault_id = v.id and not x.planned) order by v.name`)
	if err != nil {
		return nil, err
	}
	vaults, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Vault])
	if err != nil {
		return nil, err
	}
	pending := make([]Pending, len(vaults))
	for i, v := range vaults {
		p := &pending[i]
		p.Vault = v
		if err := s.pool.QueryRow(ctx, `
select count(*), coalesce(sum(size), 0)::bigint from content where vault_id = $1 and sealed and not planned`, v.ID).Scan(&p.Contents, &p.Bytes); err != nil {
			return nil, err
		}
		if err := s.pool.QueryRow(ctx, `
select bool_or(flush or ($2::interval > '0' and sealed < now() - $2::interval)) from archive where vault_id = $1 and not planned`, v.ID, v.MaxWait).Scan(&p.Due); err != nil {
			return nil, err
		}
		rows, err := s.pool.Query(ctx, `
select id, name, description, root_hash, manifest_size, sealed from archive where vault_id = $1 and not planned order by sealed, id`, v.ID)
		if err != nil {
			return nil, err
		}
		if p.Archives, err = pgx.CollectRows(rows, pgx.RowToStructByPos[PendingArchive]); err != nil {
			return nil, err
		}
	}
	return pending, nil
}

// PendingFile is a name, in an archive that waits, of a content that is on no image yet.
type PendingFile struct {
	Archive   string
	Path      string
	ContentID int64
	Content   archive.Content
	Mode      uint32
	ModTime   time.Time
}

// PendingFiles returns the files of one pending archive whose contents are on no image yet, by path.
func (s *Store) PendingFiles(ctx context.Context, archiveID string) iter.Seq2[PendingFile, error] {
	return func(yield func(PendingFile, error) bool) {
		rows, err := s.pool.Query(ctx, `
select e.path, c.id, c.hash, c.size, e.mode, e.mtime_seconds, e.mtime_nanoseconds
  from entry e join content c on c.id = e.content_id where e.archive_id = $1 and not c.planned order by e.path`, archiveID)
		if err != nil {
			yield(PendingFile{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			f := PendingFile{Archive: archiveID}
			var path, hash []byte
			var mode, nanoseconds int32
			var seconds int64
			err := rows.Scan(&path, &f.ContentID, &hash, &f.Content.Size, &mode, &seconds, &nanoseconds)
			if err == nil {
				f.Content.Hash, err = hashOf(hash)
			}
			f.Path, f.Mode, f.ModTime = string(path), uint32(mode), time.Unix(seconds, int64(nanoseconds)).UTC()
			if !yield(f, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(PendingFile{}, err)
		}
	}
}

// Target is a library for which images can be planned, and the discs that it has for them.
type Target struct {
	LibraryID string
	Medium    string
	Capacity  int64 // sectors
	Blanks    int   // blanks that no queued burn will take
}

const selectTargets = `
select e.library_id, d.medium, d.capacity,
       count(*) - (select count(*) from task t where t.library_id = e.library_id and t.kind = 'burn' and t.state = 'queued') as blanks
  from element e join disc d on d.id = e.disc_id and d.state = 'blank' where e.fill = 'full'
 group by e.library_id, d.medium, d.capacity`

// Targets returns, by library and medium, the blank discs that could be burned; the roomiest choice first, and last those of libraries whose agents say
// nothing.
func (s *Store) Targets(ctx context.Context) ([]Target, error) {
	rows, err := s.pool.Query(ctx, `
select t.* from (`+selectTargets+`) t join library l on l.id = t.library_id
 order by l.silent, t.blanks desc, t.library_id, t.medium, t.capacity`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Target])
}

// NewImageNumber reserves the number of an image that is being planned.
func (s *Store) NewImageNumber(ctx context.Context) (n int64, err error) {
	err = s.pool.QueryRow(ctx, `select nextval(pg_get_serial_sequence('image', 'number'))`).Scan(&n)
	return n, err
}

// PlannedImage is an image whose layout has been decided.
type PlannedImage struct {
	ID       string
	Number   int64
	Sectors  int64 // of all that is burned
	Layer    int64 // sectors of each layer of the error correction; 0: none
	Data     int64 // sectors without the error correction
	Set      SetPlace
	Created  time.Time
	Capacity int64 // sectors of the blank disc, as the image says it
	Archives []ImageArchive
	Extents  []PlannedExtent
	Carries  *ParityDisc // of a parity image
}

// ImageArchive is an archive whose names and manifest an image carries, below a directory of its own.
type ImageArchive struct {
	ArchiveID string
	Directory string
}

// PlannedExtent is where a content, or a part of it, lies on an image.
type PlannedExtent struct {
	ContentID      int64
	Offset, Length int64 // bytes
	Sector         int64
	Part, Parts    int // 0 of 0 for a whole content
}

// SavePlan records images, and queues what makes discs of them, in one transaction. It fails, and changes nothing, when
// somebody else has planned one of their contents meanwhile.
func (s *Store) SavePlan(ctx context.Context, vault Vault, target Target, images []PlannedImage) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select from vault where id = $1 for update`, vault.ID); err != nil {
			return err
		}
		var others []Target
		if vault.Apart && vault.Copies > 1 {
			var err error
			if others, err = elsewhere(ctx, tx, target); err != nil {
				return err
			}
		}
		for _, img := range images {
			if err := saveImage(ctx, tx, vault, target, others, img); err != nil {
				return fmt.Errorf("save image %s: %w", img.ID, err)
			}
		}
		if err := settlePlanned(ctx, tx, vault.ID, images); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update job set waiting_for = '' where state = 'running' and archive_id in (select id from archive where vault_id = $1)`, vault.ID); err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey+target.LibraryID)
	})
}

func saveImage(ctx context.Context, tx pgx.Tx, vault Vault, target Target, others []Target, img PlannedImage) error {
	if _, err := tx.Exec(ctx, `
insert into image (id, number, vault_id, library_id, medium, sectors, layer_sectors, created, copies, data_sectors, capacity) overriding system value
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11::bigint, 0))`,
		img.ID, img.Number, vault.ID, target.LibraryID, target.Medium, img.Sectors, img.Layer, img.Created, vault.Copies, img.Data, img.Capacity); err != nil {
		return err
	}
	if img.Set.Set != "" {
		if err := img.Set.join(ctx, tx, vault, target, img.ID); err != nil {
			return err
		}
	}
	for _, a := range img.Archives {
		if _, err := tx.Exec(ctx, `insert into image_archive values ($1, $2, $3)`, img.ID, a.ArchiveID, a.Directory); err != nil {
			return err
		}
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"extent"},
		[]string{"image_id", "content_id", "content_offset", "length", "sector", "part", "parts"},
		pgx.CopyFromSlice(len(img.Extents), func(i int) ([]any, error) {
			x := img.Extents[i]
			return []any{img.ID, x.ContentID, x.Offset, x.Length, x.Sector, x.Part, x.Parts}, nil
		})); err != nil {
		return err
	}
	away, err := planAway(ctx, tx, img.ID, vault.Copies, others)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id)
select $1::uuid, 'build'::task_kind, $2::int, $3::uuid union all select $1, 'burn', $2, $3 from generate_series(1, $4::int)`,
		target.LibraryID, library.PriorityBurn, img.ID, vault.Copies-away)
	return err
}

// settlePlanned marks what is wholly on images now as planned and notes how much of each archive lies where.
func settlePlanned(ctx context.Context, tx pgx.Tx, vault string, images []PlannedImage) error {
	ids := make([]string, len(images))
	for i := range images {
		ids[i] = images[i].ID
	}
	tag, err := tx.Exec(ctx, `
update content c set planned = true
 where not planned and id in (select content_id from extent where image_id = any ($1))`, ids)
	if err != nil {
		return err
	}
	var contents int64
	if err := tx.QueryRow(ctx, `select count(distinct content_id) from extent where image_id = any ($1)`, ids).Scan(&contents); err != nil {
		return err
	}
	if tag.RowsAffected() != contents {
		return library.Errorf(library.Stale, "somebody else planned %d of the same contents", contents-tag.RowsAffected())
	}
	if _, err := tx.Exec(ctx, `
update archive a set planned = true
 where a.vault_id = $1 and not a.planned and exists (select from image_archive where archive_id = a.id)
   and not exists (select from entry e join content c on c.id = e.content_id where e.archive_id = a.id and not c.planned)`, vault); err != nil {
		return err
	}
	// The whole archive's placement is made when it is planned; while a part still waits, that of its new images.
	_, err = tx.Exec(ctx, `
with touched as (select distinct archive_id as id from image_archive where image_id = any ($1)),
named as (select distinct t.id as archive_id, e.content_id from touched t join entry e on e.archive_id = t.id and e.content_id is not null)
insert into placement (archive_id, image_id, bytes)
select archive_id, image_id, sum(bytes) from (
  select n.archive_id, x.image_id, x.length as bytes from named n join extent x on x.content_id = n.content_id
  union all select archive_id, image_id, 0 from image_archive where image_id = any ($1)) p
 group by archive_id, image_id
on conflict (archive_id, image_id) do update set bytes = excluded.bytes`, ids)
	return err
}

// Wait tells the running archive jobs of a vault what an operator must do before their archives can be planned.
func (s *Store) Wait(ctx context.Context, vault, what string) error {
	_, err := s.pool.Exec(ctx, `
update job set waiting_for = $2 where state = 'running' and kind = 'archive' and waiting_for <> $2
   and archive_id in (select id from archive where vault_id = $1 and not planned)`, vault, what)
	return err
}
