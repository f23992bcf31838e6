package controller

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/health"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// healthServer serves HealthService.
type healthServer struct {
	pb.UnimplementedHealthServiceServer
	store *postgres.Store
}

func (s *healthServer) GetDiscHealth(ctx context.Context, req *pb.GetDiscHealthRequest) (*pb.DiscHealth, error) {
	n, err := pageSize(req.GetLimit(), 20, 1000)
	if err != nil {
		return nil, err
	}
	h, err := s.store.DiscHealth(ctx, req.GetDisc(), n)
	if err != nil {
		return nil, err
	}
	return discHealthProto(h), nil
}

func (s *healthServer) JudgeDisc(ctx context.Context, req *pb.JudgeDiscRequest) (*pb.DiscHealth, error) {
	if err := s.store.JudgeDisc(ctx, req.GetDisc(), gradeOf(req.GetGrade()), req.GetReason()); err != nil {
		return nil, err
	}
	return s.GetDiscHealth(ctx, &pb.GetDiscHealthRequest{Disc: req.GetDisc()})
}

func (s *healthServer) HealDisc(ctx context.Context, req *pb.HealDiscRequest) (*pb.DiscHealth, error) {
	if err := s.store.HealDisc(ctx, req.GetDisc()); err != nil {
		return nil, err
	}
	return s.GetDiscHealth(ctx, &pb.GetDiscHealthRequest{Disc: req.GetDisc()})
}

func (s *healthServer) SetScrubInterval(ctx context.Context, req *pb.SetScrubIntervalRequest) (*pb.Vault, error) {
	if req.GetSeconds() > math.MaxInt64/int64(time.Second) || req.GetSeconds() < 0 {
		return nil, library.Errorf(library.Invalid, "vault %q: a scrub interval of %d seconds: want a day to 100 years", req.GetVault(), req.GetSeconds())
	}
	v, err := s.store.SetScrubInterval(ctx, req.GetVault(), time.Duration(req.GetSeconds())*time.Second)
	if err != nil {
		return nil, err
	}
	return vaultProto(v), nil
}

func (s *healthServer) SetEvacuationLimit(ctx context.Context, req *pb.SetEvacuationLimitRequest) (*pb.SetEvacuationLimitResponse, error) {
	if !(req.GetSeconds() >= 0 && req.GetSeconds() < 1e9) {
		return nil, library.Errorf(library.Invalid, "library %q: an evacuation in %g seconds", req.GetLibrary(), req.GetSeconds())
	}
	err := s.store.SetEvacuationLimit(ctx, req.GetLibrary(), time.Duration(req.GetSeconds()*float64(time.Second)))
	return &pb.SetEvacuationLimitResponse{}, err
}

func (s *healthServer) SetLot(ctx context.Context, req *pb.SetLotRequest) (*pb.SetLotResponse, error) {
	var ranges []postgres.SlotRange
	for _, r := range req.GetSlots() {
		ranges = append(ranges, postgres.SlotRange{First: int(r.GetFirst()), Last: int(r.GetLast())})
	}
	n, err := s.store.SetLot(ctx, req.GetLibrary(), ranges, req.GetLot())
	return &pb.SetLotResponse{Discs: int32(n)}, err
}

func (s *healthServer) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusResponse, error) {
	alerts, err := alerts(ctx, s.store)
	if err != nil {
		return nil, err
	}
	resp := &pb.StatusResponse{Well: len(alerts) == 0}
	for _, a := range alerts {
		resp.Alerts = append(resp.Alerts, &pb.Alert{Library: a.Library, Kind: a.Kind, Text: a.Text, Next: a.Next})
	}
	return resp, nil
}

// alerts are those of the catalogue, and of libraries that take too long to evacuate.
func alerts(ctx context.Context, store *postgres.Store) ([]postgres.Alert, error) {
	all, err := store.Alerts(ctx)
	if err != nil {
		return nil, err
	}
	libs, err := store.Libraries(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range libs {
		t, err := store.Timing(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		if a := evacuationAlert(l, evacuation(l, t)); a.Text != "" {
			all = append(all, a)
		}
	}
	return all, nil
}

// evacuationAlert says that a library's discs can't be read as fast as they should be; without text when they can.
func evacuationAlert(l postgres.Library, seconds float64) postgres.Alert {
	show := func(s float64) time.Duration { return (time.Duration(s) * time.Second).Round(time.Minute) }
	a := postgres.Alert{Library: l.Name, Kind: "evacuation"}
	switch {
	case l.Recorded == 0 || l.EvacuationLimit == 0:
	case seconds == 0:
		a.Text = fmt.Sprintf("%d recorded discs, and no drive in service to read them", l.Recorded)
		a.Next = fmt.Sprintf("'odarchive drives' says why; 'odarchive drives up NUMBER --library %s' takes one into service", l.Name)
	case seconds > l.EvacuationLimit:
		a.Text = fmt.Sprintf("reading everything takes %v, more than the %v that were set", show(seconds), show(l.EvacuationLimit))
		a.Next = fmt.Sprintf("take more drives into service, or set another limit with 'odarchive library limit --library %s --evacuation TIME'", l.Name)
	}
	return a
}

func (s *healthServer) ObservedFailures(ctx context.Context, req *pb.ObservedFailuresRequest) (*pb.ObservedFailuresResponse, error) {
	media, err := s.store.Observed(ctx, req.GetVault())
	if err != nil {
		return nil, err
	}
	resp := &pb.ObservedFailuresResponse{}
	for _, m := range media {
		resp.Failures += int64(m.Failures)
		resp.DiscYears += m.DiscYears
		resp.Discs += m.Discs
		resp.Media = append(resp.Media, &pb.ObservedMedium{Medium: m.Medium, MediaId: m.MediaID, Failures: int64(m.Failures), DiscYears: m.DiscYears})
	}
	return resp, nil
}

// The wire's grades have our order.
func gradeProto(g health.Grade) pb.Grade { return pb.Grade(g) }

func gradeOf(g pb.Grade) health.Grade {
	return min(max(health.Grade(g), health.Ungraded), health.MigrateNow)
}

func discHealthProto(h postgres.DiscHealth) *pb.DiscHealth {
	p := &pb.DiscHealth{
		Disc: discProto(h.Disc), Graded: maybe(h.Graded), BadIn: h.BadIn, OperatorGrade: gradeProto(h.OperatorGrade), OperatorReason: h.OperatorReason,
	}
	for i := range h.Readings {
		p.Readings = append(p.Readings, readingProto(&h.Readings[i]))
	}
	for _, t := range h.Trends {
		p.Trends = append(p.Trends, trendProto(t))
	}
	for _, s := range h.Steps {
		p.Steps = append(p.Steps, &pb.DiscStep{At: timestamppb.New(s.At), Step: s.Step, Drive: int32(s.Drive), Detail: s.Detail})
	}
	for _, r := range h.Regions {
		p.Regions = append(p.Regions, &pb.DiscRegion{
			Number: int32(r.Number), First: r.First, Sectors: r.Sectors, Drive: int32(r.Drive), Seconds: r.Seconds, Retries: r.Retries, Recovered: r.Recovered,
			Unreadable: r.Unreadable, Disagreed: r.Disagreed, Errors: r.Errors, Sense: r.Sense, Slowness: r.Slowness, Repaired: r.Repaired,
		})
	}
	return p
}

func readingProto(r *postgres.DiscReading) *pb.Reading {
	p := &pb.Reading{
		Begun: timestamppb.New(r.Begun), Finished: maybe(r.Finished), Whole: r.Whole, Library: r.Library, Drive: int32(r.DriveNumber), Good: r.Good, Error: r.Error,
		Sectors: r.Sectors, Done: r.Done, Seconds: r.Seconds, Retries: r.Retries, Recovered: r.Recovered, Unreadable: r.Unreadable, Disagreed: r.Disagreed,
		Repaired: r.Repaired, Wrong: r.Wrong, WorstRow: int32(r.WorstRow), Roots: int32(r.Roots), Slowest: r.Slowest, Slow: int32(r.SlowRegions),
		Metric: r.Metric, Measured: r.Measured,
	}
	if r.Finished != nil {
		g, reasons := r.Grade()
		p.Grade = gradeProto(g)
		for i, reason := range reasons {
			if i > 0 {
				p.Reason += "; "
			}
			p.Reason += reason
		}
	}
	return p
}

func trendProto(t health.Trend) *pb.Trend {
	p := &pb.Trend{
		Indicator: t.Indicator, Readings: int32(t.Readings), Slope: t.Slope, Told: t.Told(), Next: gradeProto(t.Next),
		Earliest: timestamppb.New(t.Earliest), Likely: timestamppb.New(t.Likely),
	}
	if !math.IsInf(t.Low, 0) {
		p.Low, p.High = &t.Low, &t.High
	}
	if !t.Latest.IsZero() {
		p.Latest = timestamppb.New(t.Latest)
	}
	return p
}

// checkpointOf and regionsOf are what an agent says of a verify.
func checkpointOf(c *pb.VerifyCheckpoint) *postgres.Checkpoint {
	if c == nil {
		return nil
	}
	return &postgres.Checkpoint{Sector: c.GetSector(), HashState: c.GetHashState(), Unreadable: max(c.GetUnreadable(), 0)}
}

func regionsOf(regions []*pb.Region) (all []postgres.Region) {
	for _, r := range regions {
		all = append(all, postgres.Region{
			Number: int(r.GetNumber()), First: r.GetFirst(), Sectors: r.GetSectors(), Seconds: r.GetSeconds(), Retries: r.GetRetries(), Recovered: r.GetRecovered(),
			Unreadable: r.GetUnreadable(), Disagreed: r.GetDisagreed(), Errors: r.GetErrors(), Sense: r.GetSense(), Repaired: r.GetRepaired(),
		})
	}
	return all
}

// verifyProto is a verify as its agent needs it.
func verifyProto(t postgres.Task) *pb.Verify {
	v := &pb.Verify{ImageId: t.ImageID, Drive: int32(t.Drive), Sectors: t.Sectors, Sha256: t.SHA256}
	if t.Scrub {
		v.LayerSectors, v.Scan = t.Layer, true
	}
	if c := t.Resume; c != nil {
		v.From = &pb.VerifyCheckpoint{Sector: c.Sector, HashState: c.HashState, Unreadable: c.Unreadable}
	}
	return v
}
