package controller

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/internal/descriptor"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// agentServer serves AgentService.
type agentServer struct {
	pb.UnimplementedAgentServiceServer
	store   *postgres.Store
	staging *staging.Store
	hub     *hub
	files   *descriptor.Desk // nil when there is no socket to pass files at
	syncer  *syncer
	log     *slog.Logger
	builds  int // how many images one agent builds at a time
}

// callTime is how long a call waits for something to change; troubled how long when the robot's state has to be asked for again.
const (
	callTime = 20 * time.Second
	troubled = 2 * time.Second
)

func (s *agentServer) Synchronize(ctx context.Context, req *pb.SynchronizeRequest) (*pb.SynchronizeResponse, error) {
	call := callOf(req)
	builds := s.builds
	if req.GetDraining() {
		builds = -1
	}
	lib, err := s.store.Meet(ctx, call)
	if err != nil {
		return nil, err
	}
	// Who waits for changes does so before the catalogue is read: none is missed in between.
	changed := s.hub.wait(postgres.LibraryKey + lib)
	answer, tasks, err := s.store.Turn(ctx, call, builds)
	if err != nil {
		return nil, err
	}
	s.logResults(req)
	if answer.Changed {
		s.hub.changed(postgres.LibraryKey + answer.LibraryID)
	}
	running := make([]postgres.Ref, len(call.Running))
	for i, p := range call.Running {
		running[i] = p.Ref
	}
	wait := callTime
	if answer.WantReport {
		wait = troubled
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	probes := answer.Probes
	for {
		resp := &pb.SynchronizeResponse{Version: version(tasks, answer.WantReport, probes), WantReport: answer.WantReport}
		for _, p := range probes {
			resp.Probes = append(resp.Probes, &pb.DriveProbe{Drive: int32(p.Drive), Number: p.Number})
		}
		for _, t := range tasks {
			resp.Tasks = append(resp.Tasks, taskProto(t))
		}
		for _, ref := range answer.Acknowledged {
			resp.Acknowledged = append(resp.Acknowledged, &pb.TaskRef{Id: ref.ID, Epoch: ref.Epoch})
		}
		if resp.Version != req.GetSeen() || len(req.GetResults()) > 0 {
			return resp, nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return resp, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		changed = s.hub.wait(postgres.LibraryKey + lib)
		if tasks, probes, err = s.store.Continue(ctx, lib, builds, running); err != nil {
			return nil, err
		}
	}
}

func (s *agentServer) logResults(req *pb.SynchronizeRequest) {
	for _, r := range req.GetResults() {
		if r.GetError() == "" {
			continue
		}
		s.log.Warn("task failed", "library", req.GetLibrary(), "task", r.GetRef().GetId(), "failure", r.GetFailure().String(), "error", r.GetError())
	}
	if t := req.GetReport().GetTrouble(); t != "" {
		s.log.Warn("robot in trouble", "library", req.GetLibrary(), "trouble", t)
	}
}

// version changes when an answer says something new.
func version(tasks []postgres.Task, wantReport bool, probes []postgres.Probe) int64 {
	h := fnv.New64a()
	for _, t := range tasks {
		binary.Write(h, binary.LittleEndian, t.Ref)
	}
	binary.Write(h, binary.LittleEndian, wantReport)
	for _, p := range probes {
		binary.Write(h, binary.LittleEndian, []int64{int64(p.Drive), p.Number})
	}
	return int64(h.Sum64())
}

func refOf(r *pb.TaskRef) postgres.Ref { return postgres.Ref{ID: r.GetId(), Epoch: r.GetEpoch()} }

func callOf(req *pb.SynchronizeRequest) postgres.Call {
	c := postgres.Call{Agent: req.GetAgent(), Instance: req.GetInstance(), Library: req.GetLibrary()}
	for _, p := range req.GetRunning() {
		c.Running = append(c.Running, postgres.Progress{
			Ref: refOf(p.GetRef()), BytesDone: p.GetBytesDone(), Bytes: p.GetBytes(), Carried: p.GetCarried(),
			Checkpoint: checkpointOf(p.GetCheckpoint()), Regions: regionsOf(p.GetRegions()),
		})
	}
	for _, r := range req.GetResults() {
		res := postgres.Result{
			Ref: refOf(r.GetRef()), Error: r.GetError(), Failure: postgres.Failure(r.GetFailure()), Outcome: postgres.Outcome(r.GetMove()),
			SHA256: r.GetSha256(), Bytes: r.GetBytes(), Seconds: r.GetSeconds(), Lost: r.GetLost(),
			Repaired: r.GetRepaired(), WorstRow: int(r.GetWorstRow()), Roots: int(r.GetRoots()),
			Checkpoint: checkpointOf(r.GetCheckpoint()), Regions: regionsOf(r.GetRegions()), Wrong: r.GetWrong(), Repairable: r.GetRepairable(),
			Metric: r.GetRate().GetMetric(), Measured: r.GetRate().GetWorst(), Retries: r.GetRetries(), Slowly: r.GetSlowly(),
			Description: r.GetDescription(), Absent: r.GetAbsent(), Missing: r.GetMissing(), Untouched: r.GetUntouched(),
			Torn: r.GetTorn(), Lacking: runsOf(r.GetLacking()), LackingSectors: r.GetLackingSectors(),
		}
		if id := r.GetIdentity(); id != nil {
			res.Identity = postgres.Identity{
				State: postgres.IdentityState(id.GetState()), ImageID: id.GetImageId(), Medium: id.GetMedium(), Capacity: id.GetCapacity(), Recorded: id.GetRecorded(),
				MediaID: id.GetMediaId(),
			}
		}
		for _, u := range r.GetUnreadable() {
			res.Damaged += u.GetCount()
		}
		if res.Error == "" && res.Failure != postgres.NoFailure {
			res.Error = r.GetFailure().String()
		}
		c.Results = append(c.Results, res)
	}
	if rep := req.GetReport(); rep != nil {
		c.Report = &postgres.Report{Model: rep.GetModel(), HomeOnly: rep.GetHomeOnly(), SensesSlots: rep.GetSensesSlots(), Trouble: rep.GetTrouble()}
		for _, e := range rep.GetElements() {
			c.Report.Elements = append(c.Report.Elements, postgres.ReportedElement{
				Place: placeOf(e.GetAddress()), Unit: int(e.GetUnit()), Fill: fillOf(e.GetFill()), Home: int(e.GetHome().GetNumber()),
				Trouble: e.GetTrouble(), Tag: e.GetTag(),
			})
		}
		for _, d := range rep.GetDrives() {
			c.Report.Drives = append(c.Report.Drives, postgres.ReportedDrive{Number: int(d.GetNumber()), Name: d.GetName(), Fault: d.GetFault(), Probed: d.GetProbed()})
		}
	}
	return c
}

func taskProto(t postgres.Task) *pb.Task {
	p := &pb.Task{Ref: &pb.TaskRef{Id: t.Ref.ID, Epoch: t.Ref.Epoch}}
	switch t.Kind {
	case library.MoveTask:
		p.Work = &pb.Task_Move{Move: &pb.Move{From: addressProto(t.From), To: addressProto(t.To)}}
	case library.BuildTask:
		b := &pb.Build{ImageId: t.ImageID, Sectors: t.Sectors, LayerSectors: t.Layer, Sha256: t.SHA256}
		if t.Set != nil {
			b.Parity = parityProto(t.Set)
		}
		p.Work = &pb.Task_Build{Build: b}
	case library.BurnTask:
		p.Work = &pb.Task_Burn{Burn: &pb.Burn{ImageId: t.ImageID, Drive: int32(t.Drive), Sectors: t.Sectors, Sha256: t.SHA256, SpareAreas: t.SpareAreas}}
	case library.VerifyTask:
		p.Work = &pb.Task_Verify{Verify: verifyProto(t)}
	case library.ReadTask:
		if t.Copy {
			copyProto(t, p)
			break
		}
		p.Work = &pb.Task_Read{Read: &pb.Read{ImageId: t.ImageID, Drive: int32(t.Drive), Sectors: t.Sectors, LayerSectors: t.Layer, Extents: extentsProto(t.Extents)}}
	case library.ServeTask:
		p.Work = &pb.Task_Serve{Serve: &pb.Serve{ImageId: t.ImageID, Sectors: t.Sectors, Sha256: t.SHA256, Extents: extentsProto(t.Extents), Early: earlyProto(t)}}
	case library.ReleaseTask:
		r := &pb.Release{ImageId: t.ImageID}
		if t.Set != nil {
			r.SetId = t.Set.Set
		}
		p.Work = &pb.Task_Release{Release: r}
	default:
		setTaskProto(t, p)
	}
	return p
}

func extentsProto(extents []postgres.ReadExtent) (all []*pb.ReadExtent) {
	for _, x := range extents {
		all = append(all, &pb.ReadExtent{Hash: x.Hash, Size: x.Size, Offset: x.Offset, Length: x.Length, Sector: x.Sector})
	}
	return all
}

// fileBatch is how many files travel in one message of an image's description.
const fileBatch = 2048

func (s *agentServer) DescribeImage(req *pb.DescribeImageRequest, stream grpc.ServerStreamingServer[pb.ImageDescription]) error {
	ctx := stream.Context()
	img, err := s.store.Image(ctx, req.GetImageId())
	if err != nil {
		return err
	}
	v, err := s.store.Vault(ctx, img.Vault)
	if err != nil {
		return err
	}
	policy := &pb.ImageVault{
		Id: v.ID, Created: timestamppb.New(v.Created), Copies: int32(v.Copies), MaxWaitSeconds: int64(v.MaxWait / time.Second), Roots: int32(v.Roots),
	}
	if err := stream.Send(&pb.ImageDescription{Message: &pb.ImageDescription_Header{Header: &pb.ImageHeader{
		ImageId: img.ID, Number: img.Number, Vault: img.Vault, LibraryId: img.LibraryID, Library: img.Library,
		Created: timestamppb.New(img.Created), Medium: img.Medium, Sectors: img.Sectors, LayerSectors: img.Layer, Policy: policy,
		Set: setProto(img.Set), SetIndex: int32(img.Set.Index), MediumSectors: img.Capacity,
	}}}); err != nil {
		return err
	}
	archives, err := s.store.ImageArchives(ctx, img.ID)
	if err != nil {
		return err
	}
	for _, a := range archives {
		if err := stream.Send(&pb.ImageDescription{Message: &pb.ImageDescription_Archive{Archive: &pb.ImageArchive{
			Id: a.ID, Name: a.Name, Description: a.Description, Directory: a.Directory, RootHash: a.RootHash, ManifestSize: a.ManifestSize, Sealed: timestamppb.New(a.Sealed),
		}}}); err != nil {
			return err
		}
		if err := sendManifest(s.store.Entries(ctx, a.ID, nil), func(chunk []byte) error {
			return stream.Send(&pb.ImageDescription{Message: &pb.ImageDescription_Manifest{Manifest: chunk}})
		}); err != nil {
			return fmt.Errorf("manifest of archive %s: %w", a.ID, err)
		}
	}
	batch := &pb.ImageFiles{}
	flush := func() error {
		if len(batch.Files) == 0 {
			return nil
		}
		b := batch
		batch = &pb.ImageFiles{}
		return stream.Send(&pb.ImageDescription{Message: &pb.ImageDescription_Files{Files: b}})
	}
	for f, err := range s.store.ImageFiles(ctx, img.ID) {
		if err != nil {
			return err
		}
		batch.Files = append(batch.Files, &pb.ImageFile{
			Path: []byte(f.Path), Hash: f.Content.Hash[:], Size: f.Content.Size, Offset: f.Offset, Length: f.Length,
			Part: int32(f.Part), Parts: int32(f.Parts), Mode: f.Mode, Modified: timestamppb.New(f.ModTime),
		})
		if len(batch.Files) == fileBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (s *agentServer) ReadImageContents(req *pb.ReadImageContentsRequest, stream grpc.ServerStreamingServer[pb.Pieces]) error {
	d := deliverer{staging: s.staging, send: stream.Send}
	defer d.close()
	ctx := stream.Context()
	for x, err := range s.store.ImageExtents(ctx, req.GetImageId()) {
		if err != nil {
			return err
		}
		if err := d.deliver(ctx, x.Content, x.Segment, x.SegmentOffset, x.Offset, x.Length); err != nil {
			return err
		}
	}
	return d.end(ctx)
}
