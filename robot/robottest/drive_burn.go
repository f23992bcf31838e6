package robottest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"

	"github.com/odarchive/odarchive/robot"
)

// counted counts what a drive takes of an image, and may do something on the way.
type counted struct {
	io.Reader
	read int64
	half int64  // when read reaches it …
	then func() // … this is done, once
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	if c.then != nil && c.read >= c.half {
		c.then()
		c.then = nil
	}
	return n, err
}

// progress collects what a burn says of itself.
type progress struct{ said []int64 }

func (p *progress) say(written int64) { p.said = append(p.said, written) }

// checkBurn: after eject and load the disc is complete and holds the image, of which no more was taken than
// asked for; progress only grows, and ends at the size.
func checkBurn(y *tray) {
	y.put(Fresh)
	blank := y.load(robot.Blank)
	size := y.rig.BurnSize
	if blank.Capacity > 0 && size > blank.Capacity*sector {
		y.Fatalf("the rig burns %d bytes on a disc of %d", size, blank.Capacity*sector)
	}
	content := image{rand.Uint64()}
	var p progress
	input := io.NewSectionReader(content, 0, size+100*sector) // there is more than is to be burned
	if err := y.Burn(y.Context(), input, size, p.say); err != nil {
		y.Fatalf("burn: %v", err)
	}
	last := int64(0)
	for _, written := range p.said {
		if written < last || written > size {
			y.Errorf("progress said %d of %d after %d", written, size, last)
		}
		last = written
	}
	if last != size {
		y.Errorf("progress ended at %d of %d, after %d calls", last, size, len(p.said))
	}
	m := y.reload()
	if m.State != robot.Complete {
		y.Fatalf("a burned disc is %v", m.State)
	}
	y.recorded(m, size)
	y.compare(content, size)
	wantKind(y, "burn a burned disc", y.burn(size), robot.ErrNotBlank)
	y.reload()
	y.compare(content, size)
}

// burn burns an image that nobody wants to see again.
func (y *tray) burn(size int64) error {
	return y.Burn(y.Context(), io.NewSectionReader(image{rand.Uint64()}, 0, size), size, nil)
}

// checkBurnNotBlank: what is recorded stays.
func checkBurnNotBlank(y *tray) {
	y.put(Recorded)
	y.load(robot.Complete)
	wantKind(y, "burn a recorded disc", y.burn(16*sector), robot.ErrNotBlank)
	m := y.reload()
	y.recorded(m, y.rig.Size)
	y.compare(y.rig.Content, y.rig.Size)
}

// checkBurnTooLarge: refused before the first sector, so that the disc is still blank.
func checkBurnTooLarge(y *tray) {
	y.put(Fresh)
	m := y.load(robot.Blank)
	if m.Capacity == 0 {
		y.Skipf("the drive doesn't know the capacity of a blank disc")
	}
	wantKind(y, "burn a sector too many", y.burn((m.Capacity+1)*sector), robot.ErrTooLarge)
	if m := y.reload(); m.State != robot.Blank {
		y.Errorf("after an image that was too large the disc is %v", m.State)
	}
}

// checkBurnOddSize: sizes that aren't whole sectors are refused before the first sector.
func checkBurnOddSize(y *tray) {
	y.put(Fresh)
	y.load(robot.Blank)
	for _, size := range []int64{sector + 1, sector - 1, -sector} {
		input := io.NewSectionReader(image{1}, 0, 4*sector)
		if err := y.Burn(y.Context(), input, size, nil); err == nil {
			y.Errorf("%d bytes were burned", size)
		}
	}
	if m := y.reload(); m.State != robot.Blank {
		y.Errorf("after images of odd sizes the disc is %v", m.State)
	}
}

// checkBurnShortInput: an image that ends early is a failed burn, and the disc is spent.
func checkBurnShortInput(y *tray) {
	y.put(Fresh)
	y.load(robot.Blank)
	size := y.rig.BurnSize
	input := io.NewSectionReader(image{rand.Uint64()}, 0, size-size/4/sector*sector-sector)
	if err := y.Burn(y.Context(), input, size, nil); err == nil {
		y.Errorf("burning an image that ended early was no error")
	}
	if m := y.reload(); m.State == robot.Blank || m.State == robot.NoDisc {
		y.Errorf("after a burn whose image ended early the disc is %v", m.State)
	}
	wantKind(y, "burn a spent disc", y.burn(16*sector), robot.ErrNotBlank)
}

// checkBurnCancelled: the end of ctx ends the burn, and leaves the disc open. The error must be ctx's, or the
// disc or the drive would be blamed for what somebody wanted.
func checkBurnCancelled(y *tray) {
	y.put(Fresh)
	y.load(robot.Blank)
	size := y.rig.BurnSize
	ended, cancel := context.WithCancel(y.Context())
	cancel()
	if err := y.Burn(ended, io.NewSectionReader(image{1}, 0, size), size, nil); !errors.Is(err, context.Canceled) {
		y.Errorf("burn with an ended context: %v; want %v", err, context.Canceled)
	}
	if m := y.reload(); m.State != robot.Blank {
		y.Fatalf("after a burn that was cancelled before it began the disc is %v", m.State)
	}

	ctx, cancel := context.WithCancel(y.Context())
	defer cancel()
	input := &counted{Reader: io.NewSectionReader(image{rand.Uint64()}, 0, size), half: size / 2, then: cancel}
	var p progress
	if err := y.Burn(ctx, input, size, p.say); !errors.Is(err, context.Canceled) {
		y.Errorf("burn that was cancelled: %v; want %v", err, context.Canceled)
	}
	if n := len(p.said); n > 0 && p.said[n-1] == size {
		y.Errorf("a burn that was cancelled says it wrote all %d bytes", size)
	}
	if m := y.reload(); m.State != robot.Open {
		y.Errorf("after a burn that was cancelled the disc is %v, want %v", m.State, robot.Open)
	}
	wantKind(y, "burn a spent disc", y.burn(16*sector), robot.ErrNotBlank)
}
