package controller

import (
	"cmp"
	"context"
	"math"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	"github.com/odarchive/odarchive/library/schedule"
	"github.com/odarchive/odarchive/library/simulate"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// longestWithin is how far ahead a deadline may lie.
const longestWithin = 60 * 24 * time.Hour

func (s *retrievalServer) QuoteRetrieval(ctx context.Context, req *pb.QuoteRetrievalRequest) (*pb.Quote, error) {
	tier, err := tierOf(req.GetTier())
	if err != nil {
		return nil, err
	}
	within := schedule.Allowance(tier.Priority())
	if n := req.GetWithinSeconds(); n != 0 {
		if n < 0 || n > int64(longestWithin/time.Second) {
			return nil, library.Errorf(library.Invalid, "quote a retrieval: within %d seconds: want 1 to %d", n, int64(longestWithin/time.Second))
		}
		within = time.Duration(n) * time.Second
	}
	paths := pathsOf(req.GetPaths())
	work, err := s.store.Work(ctx, req.GetArchiveId(), paths)
	if err != nil {
		return nil, err
	}
	q := &pb.Quote{Id: uuid.NewString(), ArchiveId: req.GetArchiveId(), Tier: pb.Tier(tier)}
	byLibrary := map[string][]postgres.Wanted{}
	for _, w := range work {
		byLibrary[w.Library] = append(byLibrary[w.Library], w)
		q.Discs = append(q.Discs, w.Label)
		q.Bytes += w.Bytes
	}
	for lib, wanted := range byLibrary {
		if err := s.estimate(ctx, q, lib, tier, within, wanted); err != nil {
			return nil, err
		}
	}
	promise := within
	if q.InTime = q.GetSeconds_99_9() <= within.Seconds(); !q.GetInTime() {
		// What can't be kept isn't promised: the offer is what all but one in a thousand courses of events keep, and a tenth more.
		promise = time.Duration(math.Ceil(q.GetSeconds_99_9()*1.1)) * time.Second
	}
	saved, err := s.store.SaveQuote(ctx, postgres.Quote{ID: q.GetId(), ArchiveID: req.GetArchiveId(), Tier: tier}, paths, promise)
	if err != nil {
		return nil, err
	}
	q.Due, q.Expires = timestamppb.New(saved.Due), timestamppb.New(saved.Expires)
	return q, nil
}

// estimate adds what one library has to do for a quote.
func (s *retrievalServer) estimate(ctx context.Context, q *pb.Quote, lib string, tier library.Tier, within time.Duration, wanted []postgres.Wanted) error {
	snap, err := s.store.Snapshot(ctx, lib)
	if err != nil {
		return err
	}
	timing, err := s.store.Timing(ctx, lib)
	if err != nil {
		return err
	}
	known := map[int64]bool{}
	for _, d := range snap.Discs {
		known[d.ID] = true
	}
	tasks := make([]schedule.Task, len(wanted))
	for i, w := range wanted {
		if !known[w.Disc.ID] {
			snap.Discs = append(snap.Discs, w.Disc)
		}
		tasks[i] = schedule.Task{
			Kind: library.ReadTask, Priority: tier.Priority(), Disc: w.Disc.ID, Sector: w.Sector, Sectors: (w.Bytes + 2047) / 2048, Due: snap.Now + within,
		}
	}
	est := simulate.Forward(snap, tasks, simulate.Forecast{
		Physics: physicsOf(timing), Rate: timing.Reads, Sectors: int64(timing.ReadBytes) / 2048,
	})
	if est.Impossible != "" {
		name, err := s.store.LibraryName(ctx, lib)
		if err != nil {
			return err
		}
		return library.Errorf(library.Precondition, "nothing can be promised: library %s: %s", name, est.Impossible)
	}
	q.Exchanges += int32(est.Exchanges)
	q.DriveSeconds += est.Drive
	q.Seconds_50, q.Seconds_95, q.Seconds_99_9 = max(q.Seconds_50, est.P50), max(q.Seconds_95, est.P95), max(q.Seconds_99_9, est.P999)
	return nil
}

// physicsOf is how long a library's machines take, as far as it was measured; the rest is usual. What agents measure of an unload
// includes the eject, and of a load that the disc was identified.
func physicsOf(t postgres.Timing) simulate.Physics {
	p := simulate.DefaultPhysics()
	p.Move = cmp.Or(t.Unload, p.Eject+p.Move)
	p.Eject = 0
	p.Load = max(cmp.Or(t.Load, p.Load+6)-p.Move, 0)
	p.ReadRate = cmp.Or(t.VerifyRate, t.ReadRate, p.ReadRate)
	p.BurnRate = cmp.Or(t.BurnRate, p.BurnRate)
	return p
}
