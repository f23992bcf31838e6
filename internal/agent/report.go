package agent

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// troublePause is how long after a robot could not be asked it is asked again: a door is closed in seconds.
const troublePause = 5 * time.Second

// survey is what the robot said of itself, and after how many moves.
type survey struct {
	report *pb.LibraryReport
	moves  int64
}

// askReport asks for a new report. It never waits.
func (a *agent) askReport() {
	select {
	case a.reportWanted <- struct{}{}:
	default:
	}
}

// reports asks the robot at once, whenever a report is wanted, and again and again while it is in trouble, until ctx ends.
func (a *agent) reports(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.reportWanted:
		case <-again.C:
		}
		again.Stop()
		if trouble := a.look(ctx); trouble != "" {
			again.Reset(troublePause)
		}
	}
}

// look asks the robot for its state and keeps that for the next call to the controller.
func (a *agent) look(ctx context.Context) (trouble string) {
	a.mu.Lock()
	s := &survey{moves: a.moves}
	a.looking = true
	a.mu.Unlock()

	elements, err := a.inventory(ctx)
	s.report = a.libraryReport(elements)
	if err != nil {
		trouble = text(err)
	}
	s.report.Trouble = trouble

	a.mu.Lock()
	defer a.mu.Unlock()
	a.looking = false
	if ctx.Err() != nil {
		return trouble
	}
	switch {
	case trouble != "" && trouble != a.trouble:
		a.log.Warn("robot in trouble", "error", err)
	case trouble == "" && a.trouble != "":
		a.log.Info("robot is well again")
	}
	a.survey, a.trouble = s, trouble
	a.wake()
	return trouble
}

func (a *agent) libraryReport(elements []robot.Element) *pb.LibraryReport {
	p := a.changer.Properties()
	r := &pb.LibraryReport{Model: p.Model, HomeOnly: p.HomeOnly, SensesSlots: p.SensesSlots}
	for _, e := range elements {
		m := &pb.ElementReport{
			Address: message(e.Address), Unit: int32(e.Unit), Fill: fillMessage(e.Fill), Home: message(e.Home),
			Trouble: strings.ToValidUTF8(e.Trouble, "?"), Tag: strings.ToValidUTF8(e.Tag, "?"),
		}
		if b := a.bays[int32(e.Address.Number)]; b != nil && e.Address.Kind == robot.DriveBay {
			if id := b.identity.Load(); id != nil {
				m.Identity = proto.CloneOf(id)
			}
		}
		r.Elements = append(r.Elements, m)
	}
	for _, n := range a.driveNumbers() {
		b := a.bays[n]
		// The word first: what was found out of a drive since it was said is not older than the word.
		probed := b.probed.Load()
		r.Drives = append(r.Drives, &pb.DriveReport{Number: b.number, Name: b.drive.Name(), Fault: b.trouble(), Probed: probed})
	}
	return r
}
