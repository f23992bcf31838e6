package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/internal/agent/journal"
	"github.com/odarchive/odarchive/internal/descriptor"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// resources are what must be closed in the end, the last one first.
type resources struct{ closers []func() error }

func (r *resources) add(close func() error) { r.closers = append(r.closers, close) }

func (r *resources) close() error {
	var errs []error
	for _, close := range slices.Backward(r.closers) {
		errs = append(errs, close())
	}
	return errors.Join(errs...)
}

// open makes the agent of m with all that it needs.
func (m *Main) open(ctx context.Context, r *resources) (*agent, error) {
	a := &agent{
		name: m.Config.Name, instance: uuid.NewString(), library: m.Config.Library,
		log: m.Log, controller: m.Config.Controller,
		woken: make(chan struct{}, 1), reportWanted: make(chan struct{}, 1), probeWanted: make(chan struct{}, 1),
		running: map[int64]*work{}, bays: map[int32]*bay{}, looking: true,
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.log = a.log.With("agent", a.name)
	if err := m.openData(a, r); err != nil {
		return nil, err
	}
	if err := m.openMachine(ctx, a, r); err != nil {
		return nil, err
	}
	conn := m.Connection
	if conn == nil {
		dialled, err := dial(m.Config)
		if err != nil {
			return nil, err
		}
		r.add(dialled.Close)
		conn = dialled
	}
	a.client = pb.NewAgentServiceClient(conn)
	a.files = &files{socket: descriptor.Beside(m.Config.Controller)}
	return a, nil
}

// openData opens the folder of the journal, which belongs to one process, and the scratch folder.
func (m *Main) openData(a *agent, r *resources) error {
	if err := os.MkdirAll(m.Config.Data, 0o700); err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	root, err := os.OpenRoot(m.Config.Data)
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	r.add(root.Close)
	lock, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	r.add(lock.Close)
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("lock data folder %s: another agent may be using it: %w", m.Config.Data, err)
	}
	var torn int
	if a.journal, torn, err = journal.Open(root); err != nil {
		return err
	}
	r.add(a.journal.Close)
	a.journal.Hook = m.hook
	if torn > 0 {
		a.log.Warn("journal ended in the middle of a record, which is dropped", "bytes", torn)
	}
	if a.scratch, err = openScratch(m.Config.scratchDir(), m.Config.Scratch.Limit); err != nil {
		return err
	}
	r.add(a.scratch.root.Close)
	return nil
}

// openRobot opens the configured robot, with a folder of its own in the data folder.
func (m *Main) openRobot(ctx context.Context, a *agent, r *resources) error {
	folder, err := robotFolder(m.Config.Data)
	if err != nil {
		return err
	}
	r.add(folder.Close)
	host := robotHost{folder: folder, record: m.record, names: map[int]string{}}
	for _, d := range m.Config.Drives {
		if d.Kind == "linux" {
			host.names[d.Number] = filepath.Base(resolved(d.Path))
		}
	}
	if m.Config.Robot.Kind == "manual" {
		desk, err := openDesk(m.Config.Data, a.log, m.Abort)
		if err != nil {
			return err
		}
		r.add(desk.Close)
		host.person, a.desk = desk, desk
		if m.Console != nil {
			desk.sit(m.Console)
		}
	}
	if a.changer, err = changers[m.Config.Robot.Kind](ctx, m.Config.Robot, host); err == nil {
		r.add(a.changer.Close)
	}
	return err
}

// robotFolder opens the folder in which drivers keep what their robots can't be asked.
func robotFolder(data string) (*os.Root, error) {
	path := filepath.Join(data, "robot")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(path)
}

// openMachine opens the robot and the drives. A drive that can't be opened is reported, the others go on.
func (m *Main) openMachine(ctx context.Context, a *agent, r *resources) (err error) {
	if a.changer = m.Changer; a.changer == nil {
		if err := checkKind("robot", m.Config.Robot.Kind, changers); err != nil {
			return err
		}
		if err := m.openRobot(ctx, a, r); err != nil {
			return fmt.Errorf("open robot: %w", err)
		}
	}
	id := m.identify
	if id == nil {
		id = identifyImage
	}
	for number, drive := range m.Drives {
		a.bays[int32(number)] = newBay(number, drive, "", id)
	}
	for _, c := range m.Config.Drives {
		if a.bays[int32(c.Number)] != nil {
			continue
		}
		if err := checkKind(fmt.Sprintf("drive %d:", c.Number), c.Kind, drives); err != nil {
			return err
		}
		reopen := func(ctx context.Context) (robot.Drive, error) { return drives[c.Kind](ctx, c) }
		drive, err := reopen(ctx)
		why := ""
		if err != nil {
			a.log.Warn("drive can't be opened", "drive", c.Number, "error", err)
			drive, why = nil, text(err)
		}
		b := newBay(c.Number, drive, why, id)
		b.reopen = reopen
		r.add(func() error { return b.drive.Close() }) // whichever it is then
		a.bays[int32(c.Number)] = b
	}
	if len(a.bays) == 0 {
		return errors.New("open drives: none is configured")
	}
	return nil
}
