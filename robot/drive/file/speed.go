package file

import (
	"context"
	"fmt"

	"github.com/odarchive/odarchive/robot"
)

// slowness is how many times as long reading takes while a drive reads slowly.
const slowness = 4

var _ robot.Slower = (*Drive)(nil)

// ReadSlowly implements robot.Slower.
func (d *Drive) ReadSlowly(ctx context.Context, slow bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("set the speed of %s: %w", d.name, err)
	}
	if d.disc == "" || !d.present() {
		return d.failure("set the speed", robot.ErrNoDisc, 0, "")
	}
	if slow && !d.slow {
		d.slowed++
	}
	d.slow = slow
	return nil
}

// Slow returns whether the drive reads slowly, and how often it was made to since it was opened.
func (d *Drive) Slow() (now bool, times int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.slow, d.slowed
}
