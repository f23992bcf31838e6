package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/excerpt"
	surveys "github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/internal/found"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// What a lost disc says of itself lies in its first sectors, and the same sectors of the other discs of its set give it back. How many
// they are nobody knows before: as many as the largest of the others has, and some more; when that isn't enough, twice as many.
const (
	someMore   = 512 // sectors
	mostRounds = 4
)

// fromSets has the sets of discs that are missing give back what a rebuild needs of them, and notes of which they do.
func (s *surveying) fromSets(missing []MissingDisc) error {
	sets, err := s.sets()
	if err != nil {
		return err
	}
	for _, set := range sets {
		lost := map[int]*MissingDisc{} // by index
		for i := range missing {
			for _, m := range set.Members {
				if missing[i].Set == set.ID && missing[i].Image == m.ImageID {
					lost[m.Index] = &missing[i]
				}
			}
		}
		if len(lost) == 0 {
			continue
		}
		if err := s.fromSet(set, lost); err != nil {
			if s.stop.Err() != nil {
				return nil // the next run goes on
			}
			s.trouble("set %s: %v", set.ID, err)
		}
	}
	return nil
}

// fromSet has one set give back discs.
func (s *surveying) fromSet(set *discset.Set, lost map[int]*MissingDisc) error {
	rest, parity := s.rest(set, len(lost))
	if parity < len(lost) {
		return fmt.Errorf("%d of its data discs were not found, and %d of its parity discs were: too few to give them back", len(lost), parity)
	}
	rows := int64(0)
	for _, d := range rest {
		rows = max(rows, d.Own)
	}
	rows += rows/4 + someMore
	whole, err := s.rehearse(set, rest, lost) // an earlier run may have read enough
	for round := 0; err == nil && !whole && s.stop.Err() == nil; round++ {
		if round == mostRounds {
			return fmt.Errorf("the first %d sectors of its discs are not enough to give back what was lost: give `odarchive rebuild` whole images of them", rows/2)
		}
		if err := s.extend(rest, min(rows, set.Sectors())); err != nil {
			return err
		}
		rows *= 2
		whole, err = s.rehearse(set, rest, lost)
	}
	return err
}

// rest returns the discs that give back so many that were lost, by their index in the set: all data discs that there are, and as many parity discs
// as that takes, or as there are.
func (s *surveying) rest(set *discset.Set, lost int) (rest map[int]found.Disc, parity int) {
	rest = map[int]found.Disc{}
	for _, m := range set.Members {
		if d, ok := s.folder.Disc(m.ImageID); ok {
			rest[m.Index] = d
		}
	}
	for i, p := range set.Parities {
		if d, ok := s.folder.Disc(p.ImageID); ok && parity < lost {
			rest[set.Geometry.Data+i] = d
			parity++
		}
	}
	return rest, parity
}

// rehearse reads the lost discs of a set as a rebuild does, from excerpts alone. Whole says that all that it needs is there.
func (s *surveying) rehearse(set *discset.Set, rest map[int]found.Disc, lost map[int]*MissingDisc) (whole bool, err error) {
	discs := map[int]*surveys.Disc{}
	var open []io.Closer
	defer func() {
		for _, x := range open {
			err = errors.Join(err, x.Close())
		}
	}()
	for index, d := range rest {
		x, err := excerpt.Open(d.Path)
		if err != nil {
			return false, err
		}
		open = append(open, x)
		if discs[index], err = surveys.Open(s.hard, x, x.Sectors); err != nil {
			return false, err
		}
	}
	rec, unfit := surveys.Recover(set, discs)
	for _, err := range unfit {
		return false, err
	}
	whole = true
	for i := range set.Members {
		m := lost[set.Members[i].Index]
		if m == nil || m.Recovered {
			continue
		}
		if d, err := surveys.OpenMember(rec.Reader(s.stop, set.Members[i].Index), &set.Members[i]); err == nil && d.ImageID == m.Image {
			_, doubts := d.Rehearse(s.stop, s.knownLists())
			m.Recovered = len(doubts) == 0
		}
		whole = whole && m.Recovered
	}
	return whole, nil
}

// extend has the first sectors of discs copied, too, and puts what their excerpts are then into rest.
func (s *surveying) extend(rest map[int]found.Disc, rows int64) error {
	where := map[string]int{}
	for _, x := range s.folder.Slots() {
		if x.State == found.Ours {
			where[x.Image] = x.Slot
		}
	}
	var todo []int
	for _, d := range rest {
		enough, err := s.covers(d, rows)
		if err != nil {
			return err
		}
		slot, ok := where[d.Image]
		switch {
		case enough:
		case !ok:
			return fmt.Errorf("disc %s, which is needed for that, is in the robot no more", d.Label)
		default:
			todo = append(todo, slot)
		}
	}
	slices.Sort(todo)
	s.done, s.total, s.begun = 0, len(todo), time.Now()
	left := s.each(todo, func(ctx context.Context, b *bay, slot int, id *pb.Identity) (SurveyedSlot, error) {
		return s.more(ctx, b, slot, id, rows)
	})
	if len(left) > 0 {
		return fmt.Errorf("the discs of slots %v were not read again: start the survey again", left)
	}
	for index, d := range rest {
		rest[index], _ = s.folder.Disc(d.Image)
	}
	return nil
}

// covers says whether an excerpt has the first sectors of its disc.
func (s *surveying) covers(d found.Disc, rows int64) (bool, error) {
	x, err := excerpt.Open(d.Path)
	if err != nil {
		return false, err
	}
	defer x.Close()
	disc, err := surveys.Open(s.hard, x, x.Sectors)
	if err != nil {
		return false, err
	}
	return readRows(s.hard, disc, rows) == nil, nil
}

// more copies the first sectors of the disc of a slot besides what was copied before.
func (s *surveying) more(ctx context.Context, b *bay, slot int, id *pb.Identity, rows int64) (x SurveyedSlot, err error) {
	x.Slot, _ = s.folder.Slot(slot)
	d, ok := s.folder.Disc(x.Image)
	if !ok || id.GetState() == pb.Identity_STATE_OURS && id.GetImageId() != x.Image {
		return x, fmt.Errorf("it holds %s, and held image %s before: say --again", describe(id), x.Image)
	}
	old, err := excerpt.Open(d.Path)
	if err != nil {
		return x, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	var doubt error
	_, bytes, err := s.excerpt(ctx, b, old.Sectors, old, func(r *excerpt.Recorder) (excerpt.About, error) {
		disc, err := surveys.Open(ctx, r, old.Sectors)
		if err != nil {
			return old.About, err
		}
		if disc.ImageID != old.Image {
			return old.About, fmt.Errorf("it is image %s, not %s", disc.ImageID, old.Image)
		}
		doubt = readRows(ctx, disc, rows)
		return old.About, nil
	})
	x.Bytes = bytes
	if doubt != nil {
		x.Note = text(doubt)
	}
	return x, err
}

// readRows reads the first sectors of a disc, as its set counts them. What can't be read is passed over, and the first such error
// returned.
func readRows(ctx context.Context, d *surveys.Disc, rows int64) (first error) {
	r := d.Reader()
	end := d.Data
	if d.Set != nil {
		var err error
		if r, err = d.ParityReader(); err != nil {
			return err
		}
		end = d.Set.Sectors()
	}
	b := make([]byte, archive.SectorSize)
	for at := int64(0); at < min(rows, end) && ctx.Err() == nil; at++ {
		if n, err := r.ReadAt(b, at*archive.SectorSize); n < len(b) && first == nil {
			first = fmt.Errorf("sector %d: %w", at, err)
		}
	}
	return errors.Join(first, ctx.Err())
}
