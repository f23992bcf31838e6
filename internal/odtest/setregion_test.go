package odtest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot/drive/file"
)

var finished = regexp.MustCompile(`msg="task finished".* kind=(\w+) image=([0-9a-f-]{36}) .*bytes=(\d+)`)

// region has the first disc of a set lose more sectors of one row than its error correction bears, and gets what lies on it. The agent is killed
// when the first of the other discs has given its rows. They are read once each, and a small part of each.
func (s *Site) region(set *pb.DiscSet, get client.Get) {
	s.Helper()
	worn := set.GetMembers()[0].GetDiscs()[0]
	image := s.path("jukebox", "discs", worn, "image.iso")
	before, err := os.ReadFile(image)
	if err != nil {
		s.Fatal(err)
	}
	size := int64(len(before))
	h, err := ecc.FindQuickly(s.Context(), ecc.Source{ReaderAt: bytes.NewReader(before)}, size/2048)
	if err != nil {
		s.Fatal(err)
	}
	var faults file.Faults
	for i := range int64(h.Roots() + 1) {
		faults.Unreadable = append(faults.Unreadable, file.SectorRun{First: 500 + i*h.Layer, Count: 1})
	}
	span := int64(h.Roots())*h.Layer + 1
	text, err := json.Marshal(faults)
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(image), "faults.json"), text, 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
	s.Stop(Agent)
	s.Start(Agent)
	mark, got := s.Mark(Agent), make(chan error, 1)
	go func() { got <- s.Client.Get(s.Context(), get) }()
	s.Await(Agent, mark, "task finished.*kind=rows")
	s.Kill(Agent)
	s.Start(Agent)
	if err := <-got; err != nil {
		s.Fatal(err)
	}
	s.Eventually("the worn disc is retired", func() bool { return s.health(worn).GetDisc().GetState() == pb.DiscState_DISC_STATE_RETIRED })

	s.early(set.GetMembers()[0].GetImageId(), s.set().GetMembers()[0].GetDiscs()[0])

	read := map[string]int64{} // of the others, bytes
	for _, line := range s.Lines(Agent, `msg="task finished".*kind=(rows|copy)`) {
		f := finished.FindStringSubmatch(line)
		if f == nil || f[2] == set.GetMembers()[0].GetImageId() {
			continue
		}
		n, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			s.Fatal(err)
		}
		read[f[2]] += n
	}
	total := int64(0)
	for _, n := range read {
		total += n
	}
	s.Logf("%d bytes of %d others were read for %d bad sectors in %d rows of a disc of %d bytes", total, len(read), len(faults.Unreadable), span, size)
	if len(read) != 3 || total < 3*int64(len(faults.Unreadable))*2048 || total > 4*span*2048 || total > size {
		s.Errorf("%d bytes of %d others were read for %d bad sectors in %d rows of a disc of %d bytes: %v", total, len(read), len(faults.Unreadable), span, size, read)
	}
	var said strings.Builder
	for _, step := range s.health(worn).GetSteps() {
		said.WriteString(step.GetDetail() + "\n")
	}
	for _, want := range []string{"all of it is copied but", "rows were read of disc", "came from others of its set", "were read from its image on the scratch disk", "has replaced it"} {
		if !strings.Contains(said.String(), want) {
			s.Errorf("nobody says %q:\n%s", want, said.String())
		}
	}
	after, err := os.ReadFile(s.path("jukebox", "discs", s.set().GetMembers()[0].GetDiscs()[0], "image.iso"))
	if err != nil || !bytes.Equal(before, after) {
		s.Errorf("the new disc differs from the worn one: %v", err)
	}
	s.Eventually("nothing is left on the scratch disk", func() bool {
		left, err := filepath.Glob(s.path("agent", "scratch", "*"))
		return err == nil && len(left) == 0
	})
}

// first gets something small of a disc that gives nothing any more. It comes from rows of the others of its set, before any of them is read whole; the
// agent is killed when the first of them has given its rows.
func (s *Site) first(set *pb.DiscSet, victim *pb.SetMember, get client.Get) {
	s.Helper()
	before, got := len(s.Lines(Agent, `msg="task finished".*kind=(rows|copy|serve|move)`)), make(chan error, 1)
	mark := s.Mark(Agent)
	go func() { got <- s.Client.Get(s.Context(), get) }()
	s.Await(Agent, mark, "task finished.*kind=rows image=("+others(set, victim)+")")
	s.Kill(Agent)
	s.Start(Agent)
	if os.Getenv("ODARCHIVE_SLOW") != "" {
		s.Await(Agent, mark, "task started.*kind=serve")
		s.Kill(Controller)
		s.Start(Controller)
	}
	if err := <-got; err != nil {
		s.Fatal(err)
	}
	read, whole, moves := int64(0), 0, 0
	for _, line := range s.Lines(Agent, `msg="task finished".*kind=(rows|copy|serve|move)`)[before:] {
		f := finished.FindStringSubmatch(line)
		if f != nil && f[1] == "serve" {
			break
		} else if f == nil {
			moves++
		}
		if f == nil || f[2] == victim.GetImageId() {
			continue
		}
		n, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			s.Fatal(err)
		}
		if read += n; f[1] == "copy" {
			whole++
		}
	}
	s.Logf("%d bytes of the others were read, and %d moves made, until a retrieval had what it wanted of a dead disc", read, moves)
	if whole > 0 || read == 0 || read > 4*3<<20 {
		s.Errorf("%d bytes of the others were read for a reel of a megabyte, %d whole discs among them", read, whole)
	}
	for _, want := range []string{"come first, before the whole image", "what retrievals wait for were read of disc", "were computed from rows of its set"} {
		s.Eventually("the disc's record says that they "+want, func() bool {
			return slices.ContainsFunc(s.health(victim.GetDiscs()[0]).GetSteps(), func(step *pb.DiscStep) bool { return strings.Contains(step.GetDetail(), want) })
		})
	}
}

// others are the ids of the other images of a set, as alternatives.
func others(set *pb.DiscSet, but *pb.SetMember) string {
	var ids []string
	for _, m := range set.GetMembers() {
		if m.GetImageId() != but.GetImageId() {
			ids = append(ids, m.GetImageId())
		}
	}
	return strings.Join(ids, "|")
}

// early wants the last retrieval to have been served from the scratch disk, and to have ended before the disc was verified on which the image was
// burned for that.
func (s *Site) early(image, burned string) {
	s.Helper()
	jobs, err := s.Client.Jobs.ListJobs(s.Context(), &pb.ListJobsRequest{})
	if err != nil {
		s.Fatal(err)
	}
	for _, j := range jobs.GetJobs() { // the newest first
		if j.GetKind() != pb.JobKind_JOB_KIND_RETRIEVAL {
			continue
		}
		d := s.health(burned).GetDisc()
		s.Logf("the retrieval ended %v before the new disc was burned, and %v before it was verified", d.GetBurned().AsTime().Sub(j.GetFinished().AsTime()), d.GetVerified().AsTime().Sub(j.GetFinished().AsTime()))
		if !j.GetFinished().AsTime().Before(d.GetVerified().AsTime()) {
			s.Error("the retrieval has waited for the new disc")
		}
		break
	}
	if served := s.Lines(Agent, `msg="task finished".*kind=serve image=`+image); len(served) == 0 {
		s.Errorf("image %s was not served from the scratch disk", image)
	}
}
