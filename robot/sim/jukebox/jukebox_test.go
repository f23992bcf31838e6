package jukebox

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/sim"
)

// A second jukebox in the same folder is refused before it touches anything: whoever talks to the first one goes on doing so.
func TestOneJukeboxInAFolder(t *testing.T) {
	dir := t.TempDir()
	machine := func() *Main {
		return &Main{Dir: dir, Shape: sim.Shape{Units: 1, SlotsPerUnit: 3, PlayersPerUnit: 1}, Medium: file.Medium{Type: "BD-R", Sectors: 100}, Blanks: 1}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- machine().Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		_, err := Tell(ctx, dir, "status")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if err := machine().Run(ctx); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("a second jukebox: %v", err)
	}
	if _, err := Tell(ctx, dir, "status"); err != nil {
		t.Errorf("the first one: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
