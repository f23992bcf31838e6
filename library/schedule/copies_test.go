package schedule

import (
	"testing"
	"time"

	"github.com/odarchive/odarchive/library"
)

// TestCopies: of two free drives the one that has not burned an image's copy takes the next, even if it was used more; when it alone is free, the
// same one does.
func TestCopies(t *testing.T) {
	for _, c := range []struct {
		burned   int
		busy     int // drive that can't be had
		want     int
		previous int // drive that has been used before
	}{
		{burned: 0, previous: 2, want: 1},
		{burned: 1, previous: 2, want: 2},
		{burned: 2, previous: 2, want: 1},
		{burned: 1, busy: 2, want: 1},
		{burned: 2, busy: 1, want: 2},
	} {
		p := New(Config{})
		for n := 1; n <= 2; n++ {
			p.SetDrive(Drive{Number: n, Unit: 1, Up: n != c.busy, Known: true})
		}
		if c.previous > 0 {
			p.drives[c.previous].used++
		}
		p.SetDisc(Disc{ID: 1, Unit: 1, Slot: 1, Blank: true, Capacity: 100})
		p.Add(Task{ID: 10, Kind: library.BurnTask, Sectors: 100, Ready: true, Image: 7, Burned: c.burned})
		got := p.Decide(0)
		if len(got) != 1 || !got[0].Load || got[0].Drive != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestCopiesInTurn burns the two copies of images, two images at a time, in two drives of which one may burn: each pair comes into both drives, although the least used
// drive would be the same one.
func TestCopiesInTurn(t *testing.T) {
	p := New(Config{BurnLimit: 1})
	for n := 1; n <= 2; n++ {
		p.SetDrive(Drive{Number: n, Unit: 1, Up: true, Known: true})
	}
	const images = 4
	imageOf := func(n int64) int64 { return 1 + n/4*2 + n%2 }
	for n := range int64(2 * images) {
		p.SetDisc(Disc{ID: n + 1, Unit: 1, Slot: int(n + 1), Blank: true, Capacity: 100})
		p.Add(Task{ID: 100 + n, Kind: library.BurnTask, Sectors: 100, Ready: true, Image: imageOf(n)})
	}
	in := map[int64]map[int]bool{}
	for now := time.Duration(0); now < 100*time.Second; now += time.Second {
		for _, a := range p.Decide(now) {
			switch {
			case a.Load:
				p.Released(1)
				p.Loaded(a.Drive)
			case a.Unload:
				p.Released(1)
				p.Unloaded(a.Drive)
			default:
				image := imageOf(a.Task - 100)
				if in[image] == nil {
					in[image] = map[int]bool{}
				}
				in[image][a.Drive] = true
				p.Ended(a.Task)
				p.SetDisc(Disc{ID: a.Disc, Unit: 1, Drive: a.Drive, Reload: true, Capacity: 100})
			}
		}
	}
	for image := int64(1); image <= images; image++ {
		if len(in[image]) != 2 {
			t.Errorf("the copies of image %d were burned in drives %v", image, in[image])
		}
	}
}
