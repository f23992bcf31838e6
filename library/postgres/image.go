package postgres

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
)

// Image is what is known of the sectors of a disc.
type Image struct {
	ID        string
	Number    int64
	Vault     string
	LibraryID string
	Library   string
	Medium    string
	Sectors   int64 // of all that is burned
	Layer     int64 // sectors of each layer of the error correction; 0: none
	Created   time.Time
	Set       SetPlace
	Capacity  int64 // sectors of the blank disc, as the image says it; 0 when it doesn't
}

// Image returns an image by id.
func (s *Store) Image(ctx context.Context, id string) (Image, error) {
	rows, err := s.pool.Query(ctx, `
select i.id, i.number, v.name, l.id, l.name, i.medium, i.sectors, i.layer_sectors, i.created,
       coalesce(s.id::text, ''), coalesce(i.set_index, 0), coalesce(s.data, 0), coalesce(s.parity, 0), coalesce(i.capacity, 0)
  from image i join vault v on v.id = i.vault_id join library l on l.id = i.library_id left join disc_set s on s.id = i.set_id where i.id::text = $1`, id)
	if err != nil {
		return Image{}, err
	}
	img, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (i Image, err error) {
		err = row.Scan(&i.ID, &i.Number, &i.Vault, &i.LibraryID, &i.Library, &i.Medium, &i.Sectors, &i.Layer, &i.Created,
			&i.Set.Set, &i.Set.Index, &i.Set.Data, &i.Set.Parity, &i.Capacity)
		return i, err
	})
	return img, notFound(err, "there is no image %s", id)
}

// ArchiveOnImage is an archive whose manifest an image carries.
type ArchiveOnImage struct {
	ID           string
	Name         string
	Description  string
	Directory    string
	RootHash     []byte
	ManifestSize int64
	Sealed       time.Time
}

// ImageArchives returns the archives on an image by their directories.
func (s *Store) ImageArchives(ctx context.Context, image string) ([]ArchiveOnImage, error) {
	rows, err := s.pool.Query(ctx, `
select a.id, a.name, a.description, ia.directory, a.root_hash, a.manifest_size, a.sealed
  from image_archive ia join archive a on a.id = ia.archive_id where ia.image_id = $1 order by ia.directory collate "C"`, image)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ArchiveOnImage])
}

// ImageFile is a name on an image, below its data directory.
type ImageFile struct {
	Path           string
	Content        archive.Content
	Offset, Length int64
	Part, Parts    int
	Mode           uint32
	ModTime        time.Time
}

// ImageFiles returns the names on an image in ascending order of their bytes.
func (s *Store) ImageFiles(ctx context.Context, image string) iter.Seq2[ImageFile, error] {
	return func(yield func(ImageFile, error) bool) {
		rows, err := s.pool.Query(ctx, `
select convert_to(ia.directory, 'UTF8') || '/'::bytea || e.path as path, c.hash, c.size, x.content_offset, x.length, x.part, x.parts,
       e.mode, e.mtime_seconds, e.mtime_nanoseconds
  from extent x join content c on c.id = x.content_id
  join entry e on e.content_id = x.content_id
  join image_archive ia on ia.image_id = x.image_id and ia.archive_id = e.archive_id
 where x.image_id = $1 order by path`, image)
		if err != nil {
			yield(ImageFile{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var f ImageFile
			var path, hash []byte
			var mode, nanoseconds int32
			var seconds int64
			err := rows.Scan(&path, &hash, &f.Content.Size, &f.Offset, &f.Length, &f.Part, &f.Parts, &mode, &seconds, &nanoseconds)
			if err == nil {
				f.Content.Hash, err = hashOf(hash)
			}
			f.Path, f.Mode, f.ModTime = string(path), uint32(mode), time.Unix(seconds, int64(nanoseconds)).UTC()
			if !yield(f, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(ImageFile{}, err)
		}
	}
}

// StagedExtent is an extent of an image and where its bytes are in staging.
type StagedExtent struct {
	Content        archive.Content
	Offset, Length int64 // in the content
	Segment        int64
	SegmentOffset  int64 // of the content
}

// ImageExtents returns the extents of an image, those without bytes left out, in ascending order of sectors.
func (s *Store) ImageExtents(ctx context.Context, image string) iter.Seq2[StagedExtent, error] {
	return func(yield func(StagedExtent, error) bool) {
		rows, err := s.pool.Query(ctx, `
select c.hash, c.size, x.content_offset, x.length, c.segment_id, c.segment_offset
  from extent x join content c on c.id = x.content_id where x.image_id = $1 and x.length > 0 order by x.sector`, image)
		if err != nil {
			yield(StagedExtent{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var x StagedExtent
			var hash []byte
			err := rows.Scan(&hash, &x.Content.Size, &x.Offset, &x.Length, &x.Segment, &x.SegmentOffset)
			if err == nil {
				x.Content.Hash, err = hashOf(hash)
			}
			if !yield(x, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(StagedExtent{}, err)
		}
	}
}

// Statistics counts what has been done since the database was made.
type Statistics struct {
	DiscsBurned, DiscsVerified, DiscsSpoiled, Moves int64
	BytesBurned, BytesVerified, BytesRead           int64
	BurnSeconds, VerifySeconds, ReadSeconds         float64
	BytesStaged, BytesCached                        int64
}

// Statistics counts what has been done.
func (s *Store) Statistics(ctx context.Context) (Statistics, error) {
	rows, err := s.pool.Query(ctx, `
select (select count(*) from disc where burned is not null), (select count(*) from disc where verified is not null),
       (select count(*) from disc where state = 'spoiled'),
       count(*) filter (where kind = 'move'),
       coalesce(sum(bytes_done) filter (where kind = 'burn'), 0)::bigint, coalesce(sum(bytes_done) filter (where kind = 'verify'), 0)::bigint,
       coalesce(sum(bytes_done) filter (where kind = 'read'), 0)::bigint,
       coalesce(sum(seconds) filter (where kind = 'burn'), 0), coalesce(sum(seconds) filter (where kind = 'verify'), 0),
       coalesce(sum(seconds) filter (where kind = 'read'), 0),
       (select coalesce(sum(size), 0)::bigint from content where staged), (select coalesce(sum(size), 0)::bigint from content where not staged and cached_until is not null)
  from task where state = 'done'`)
	if err != nil {
		return Statistics{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Statistics])
}
