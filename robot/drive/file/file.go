// Package file is a drive whose discs are folders: a robot.Drive over plain files, for simulated libraries and tests. It enforces
// what a real drive and a write-once disc enforce, and knows nothing of robots.
//
// A disc is a folder:
//
//	medium.json   {"type": "BD-R", "sectors": 12219392}
//	image.open    what is being recorded; it stays when a burn is broken off, and the disc is spent
//	image.iso     what was recorded, once the disc has been closed: any program that reads disc images can open it
//	spare_areas   there, and empty, when the disc was formatted with spare areas before it was burned
//	faults.json   optional: {"unreadable": [{"first": 1000, "count": 3}], "strained": [{"first": 2000, "count": 1}], "burn_fails_at": 5000, "lies": true}
//
// A drive is a folder in which the entry "disc" is a symlink to the disc that lies in it; whoever plays the robot makes and removes
// it. Optional "drive.json": {"read_bytes_per_second": 0, "write_bytes_per_second": 0, "load_milliseconds": 0}, 0 for no limit.
//
// From Load to Eject the drive holds a shared lock (flock) on the disc's folder: the robot can't pull a disc out of a drive that
// has it clamped. A process that dies lets go by itself.
package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/robot"
)

const (
	sectorSize = 2048
	mediumName = "medium.json"
	openName   = "image.open"
	closedName = "image.iso"
	spareName  = "spare_areas"
	faultsName = "faults.json"
	driveName  = "drive.json"
	// DiscLink is the name of the symlink in a drive's folder to the disc that lies in it.
	DiscLink = "disc"
)

// Medium is what a disc's folder says of it before anything is recorded.
type Medium struct {
	Type    string `json:"type"`
	Sectors int64  `json:"sectors"`
}

// NewDisc makes the folder of a blank disc.
func NewDisc(dir string, m Medium) error {
	if m.Sectors <= 0 || m.Type == "" {
		return fmt.Errorf("make disc %s: want a type and at least one sector", dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make disc %s: %w", dir, err)
	}
	// It appears whole or not at all.
	temp := dir + ".new"
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o755)); err != nil {
		return fmt.Errorf("make disc %s: %w", dir, err)
	}
	b, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(temp, mediumName), append(b, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(temp, dir)
	}
	if err != nil {
		return fmt.Errorf("make disc %s: %w", dir, err)
	}
	return nil
}

// SectorRun is a run of sectors.
type SectorRun struct {
	First int64 `json:"first"`
	Count int64 `json:"count"`
}

// Faults are what is wrong with a disc.
type Faults struct {
	Unreadable []SectorRun `json:"unreadable,omitempty"`
	// Strained can be read only while the drive reads slowly.
	Strained []SectorRun `json:"strained,omitempty"`
	// BurnFailsAt is the sector at which a burn breaks off; 0 for none.
	BurnFailsAt int64 `json:"burn_fails_at,omitempty"`
	// Lies makes a burn claim success although zeros were recorded.
	Lies bool `json:"lies,omitempty"`
}

// Rates are how fast a drive is.
type Rates struct {
	Read  int64 `json:"read_bytes_per_second"`
	Write int64 `json:"write_bytes_per_second"`
	Load  int64 `json:"load_milliseconds"`
}

// SetRates writes a drive folder's drive.json.
func SetRates(dir string, r Rates) error {
	b, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, driveName), append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("set the rates of drive %s: %w", dir, err)
	}
	return nil
}

// Drive is a drive over a folder.
type Drive struct {
	dir  string
	name string

	mu     sync.RWMutex // of what follows: the disc, since it was loaded
	disc   string       // its folder; empty when none is loaded
	lock   *os.File
	image  *os.File // of a complete disc
	size   int64    // bytes recorded
	faults Faults
	rates  Rates
	pace   pacer
	spare  bool // the next burn formats it with spare areas first
	slow   bool // it reads slowly
	slowed int  // how often it was made to
}

// Open opens the drive whose folder is dir.
func Open(dir string) (*Drive, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return nil, fmt.Errorf("open drive %s: %w", dir, err)
	}
	return &Drive{dir: dir, name: "drive " + filepath.Base(dir)}, nil
}

// Name implements robot.Drive.
func (d *Drive) Name() string { return d.name }

func (d *Drive) failure(op string, kind error, sector int64, detail string) error {
	return &robot.Error{Op: op + " in " + d.name, Kind: kind, Sector: sector, Detail: detail}
}

// Load implements robot.Drive.
func (d *Drive) Load(ctx context.Context) (robot.Medium, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release()
	if err := readJSON(filepath.Join(d.dir, driveName), &d.rates); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return robot.Medium{}, d.failure("load disc", robot.ErrDriveFault, 0, err.Error())
	}
	if err := wait(ctx, time.Duration(d.rates.Load)*time.Millisecond); err != nil {
		return robot.Medium{}, fmt.Errorf("load disc in %s: %w", d.name, err)
	}
	disc, err := filepath.EvalSymlinks(filepath.Join(d.dir, DiscLink))
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.gone("load disc", 0); err != nil {
			return robot.Medium{}, err
		}
		return robot.Medium{State: robot.NoDisc}, nil
	} else if err != nil {
		return robot.Medium{}, d.failure("load disc", robot.ErrDriveFault, 0, err.Error())
	}
	if err := d.clamp(disc); err != nil {
		return robot.Medium{}, err
	}
	m, err := d.recognise()
	if err != nil {
		d.release()
		return robot.Medium{State: robot.NotReady}, d.failure("load disc", robot.ErrMedium, 0, err.Error())
	}
	return m, nil
}

func (d *Drive) clamp(disc string) error {
	f, err := os.Open(disc)
	if err != nil {
		return d.failure("load disc", robot.ErrNoDisc, 0, err.Error())
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		f.Close()
		return d.failure("load disc", robot.ErrBusy, 0, "the robot has the disc")
	}
	d.disc, d.lock = disc, f
	if !d.present() {
		d.release()
		return d.failure("load disc", robot.ErrNoDisc, 0, "it was taken away")
	}
	return nil
}

// recognise says what the clamped disc is.
func (d *Drive) recognise() (m robot.Medium, err error) {
	var medium Medium
	if err := readJSON(filepath.Join(d.disc, mediumName), &medium); err != nil {
		return m, err
	}
	d.faults = Faults{}
	if err := readJSON(filepath.Join(d.disc, faultsName), &d.faults); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	m.Type = medium.Type
	image, err := os.Open(filepath.Join(d.disc, closedName))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(d.disc, openName)); err == nil {
			m.State = robot.Open
			return m, nil
		}
		m.State, m.Capacity = robot.Blank, medium.Sectors
		return m, nil
	} else if err != nil {
		return m, err
	}
	info, err := image.Stat()
	if err != nil {
		return m, errors.Join(err, image.Close())
	}
	d.image, d.size = image, info.Size()/sectorSize*sectorSize
	m.State, m.Recorded = robot.Complete, info.Size()/sectorSize
	return m, nil
}

// gone says that the drive's folder is there no more: a device that was pulled out.
func (d *Drive) gone(op string, sector int64) error {
	if _, err := os.Stat(d.dir); err != nil {
		return d.failure(op, robot.ErrDriveFault, sector, err.Error())
	}
	return nil
}

// present says whether the disc that was loaded still lies in the drive.
func (d *Drive) present() bool {
	disc, err := filepath.EvalSymlinks(filepath.Join(d.dir, DiscLink))
	return err == nil && disc == d.disc
}

func (d *Drive) release() {
	if d.image != nil {
		d.image.Close()
	}
	if d.lock != nil {
		d.lock.Close()
	}
	d.disc, d.lock, d.image, d.size, d.slow = "", nil, nil, 0, false
}

// Eject implements robot.Drive.
func (d *Drive) Eject(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release()
	return nil
}

// Close implements robot.Drive.
func (d *Drive) Close() error { return d.Eject(context.Background()) }

// ReadAt implements robot.Drive.
func (d *Drive) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off%sectorSize != 0 || len(p)%sectorSize != 0 {
		return 0, fmt.Errorf("read %d bytes at %d in %s: want whole sectors of %d bytes", len(p), off, d.name, sectorSize)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.disc == "" || !d.present() {
		return 0, d.failure("read", robot.ErrNoDisc, 0, "")
	}
	if off >= d.size || d.image == nil {
		return 0, io.EOF
	}
	var failed error
	n := min(int64(len(p)), d.size-off)
	if n < int64(len(p)) {
		failed = io.EOF
	}
	bad := d.faults.Unreadable
	if !d.slow {
		bad = slices.Concat(bad, d.faults.Strained)
	}
	for _, bad := range bad {
		first, end := bad.First*sectorSize, (bad.First+bad.Count)*sectorSize
		if first < off+n && end > off {
			n = max(first-off, 0)
			failed = d.failure("read", robot.ErrMedium, (off+n)/sectorSize, "")
		}
	}
	rate := d.rates.Read
	if d.slow {
		rate = (rate + slowness - 1) / slowness
	}
	d.pace.spend(context.Background(), n, rate)
	k, err := d.image.ReadAt(p[:n], off)
	if err != nil && !errors.Is(err, io.EOF) {
		return k / sectorSize * sectorSize, d.failure("read", robot.ErrMedium, (off+int64(k))/sectorSize, err.Error())
	}
	return k, failed
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
