package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// burnBuffer is how many bytes are recorded at a time.
const burnBuffer = 1 << 20

// UseSpareAreas implements robot.Formatter.
func (d *Drive) UseSpareAreas(use bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spare = use
}

// Burn implements robot.Drive.
func (d *Drive) Burn(ctx context.Context, image io.Reader, size int64, progress func(written int64)) error {
	if size <= 0 || size%sectorSize != 0 {
		return fmt.Errorf("burn %d bytes in %s: want whole sectors of %d bytes", size, d.name, sectorSize)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.disc == "" || !d.present() {
		return d.failure("burn", robot.ErrNoDisc, 0, "")
	}
	m, err := d.recognise()
	switch {
	case err != nil:
		return d.failure("burn", robot.ErrMedium, 0, err.Error())
	case m.State != robot.Blank:
		return d.failure("burn", robot.ErrNotBlank, 0, m.State.String())
	case size > m.Capacity*sectorSize:
		return d.failure("burn", robot.ErrTooLarge, 0, fmt.Sprintf("%d sectors on a disc of %d", size/sectorSize, m.Capacity))
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("burn in %s: %w", d.name, err)
	}
	f, err := os.OpenFile(filepath.Join(d.disc, openName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return d.failure("burn", robot.ErrNotBlank, 0, err.Error())
	}
	// From here on the disc is spent: that must outlive a crash before its first sector does.
	if d.spare {
		d.spare = false
		if err := os.WriteFile(filepath.Join(d.disc, spareName), nil, 0o644); err != nil {
			return errors.Join(d.failure("format", robot.ErrWrite, 0, err.Error()), f.Close())
		}
	}
	err = d.syncDisc()
	if err == nil {
		err = d.record(ctx, f, image, size, progress)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = d.gone("burn", size/sectorSize)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(d.disc, openName), filepath.Join(d.disc, closedName)); err != nil {
		return d.failure("close disc", robot.ErrWrite, size/sectorSize, err.Error())
	}
	return d.syncDisc()
}

func (d *Drive) syncDisc() error {
	if err := d.lock.Sync(); err != nil {
		return d.failure("burn", robot.ErrWrite, 0, err.Error())
	}
	return nil
}

func (d *Drive) record(ctx context.Context, f *os.File, image io.Reader, size int64, progress func(int64)) error {
	if progress == nil {
		progress = func(int64) {}
	}
	buf := make([]byte, burnBuffer)
	told := time.Now()
	for written := int64(0); written < size; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("burn in %s: broken off at sector %d: %w", d.name, written/sectorSize, err)
		}
		p := buf[:min(burnBuffer, size-written)]
		if at := d.faults.BurnFailsAt * sectorSize; at > 0 && at < written+int64(len(p)) {
			return d.failure("burn", robot.ErrWrite, d.faults.BurnFailsAt, "write error")
		}
		if n, err := io.ReadFull(image, p); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("burn in %s: the image ends after %d of %d bytes: %w", d.name, written+int64(n), size, err)
		}
		if d.faults.Lies {
			clear(p)
		}
		if err := put(f, p, written); err != nil {
			return d.failure("burn", robot.ErrWrite, written/sectorSize, err.Error())
		}
		written += int64(len(p))
		if err := d.pace.spend(ctx, int64(len(p)), d.rates.Write); err != nil {
			return fmt.Errorf("burn in %s: broken off at sector %d: %w", d.name, written/sectorSize, err)
		}
		if time.Since(told) >= time.Second && written < size {
			told = time.Now()
			progress(written)
		}
	}
	progress(size)
	return nil
}

// put records p at the end of what was recorded. Nothing but zeros takes no room on this disk.
func put(f *os.File, p []byte, at int64) error {
	if bytes.Equal(p, zeros[:len(p)]) {
		return f.Truncate(at + int64(len(p)))
	}
	_, err := f.WriteAt(p, at)
	return err
}

var zeros [burnBuffer]byte

// pacer makes bytes take their time.
type pacer struct {
	mu   sync.Mutex
	free time.Time // when what was spent so far has passed
}

// spend waits until n bytes have passed at rate bytes a second; 0 is no limit.
func (p *pacer) spend(ctx context.Context, n, rate int64) error {
	if rate <= 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	until := p.free.Sub(now)
	p.mu.Unlock()
	return wait(ctx, until)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
