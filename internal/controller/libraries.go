package controller

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// libraryServer serves LibraryService.
type libraryServer struct {
	pb.UnimplementedLibraryServiceServer
	store *postgres.Store
}

func (s *libraryServer) ListLibraries(ctx context.Context, _ *pb.ListLibrariesRequest) (*pb.ListLibrariesResponse, error) {
	libs, err := s.store.Libraries(ctx)
	if err != nil {
		return nil, err
	}
	alerted, err := s.store.Alerts(ctx)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListLibrariesResponse{}
	for _, l := range libs {
		timing, err := s.store.Timing(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		seconds := evacuation(l, timing)
		var texts []string
		for _, a := range alerted {
			if a.Library == l.Name {
				texts = append(texts, a.String())
			}
		}
		if a := evacuationAlert(l, seconds); a.Text != "" {
			texts = append(texts, a.String())
		}
		resp.Libraries = append(resp.Libraries, &pb.Library{
			EvacuationSeconds: seconds, Overdue: int32(l.Overdue), EvacuationLimitSeconds: l.EvacuationLimit, Alerts: texts, SetsWithoutParity: int32(l.WithoutParity),
			Healthy: int32(l.Healthy), Watch: int32(l.Watch), MigrateSoon: int32(l.MigrateSoon), MigrateNow: int32(l.MigrateNow),
			Name: l.Name, Model: l.Model, Agent: l.Agent, Online: l.Online, LastSeen: maybe(l.LastSeen), Slots: int32(l.Slots), Drives: int32(l.Drives),
			Blank: int32(l.Blank), Good: int32(l.Good), Other: int32(l.Other), Flagged: int32(l.Flagged), Moves: l.Moves,
		})
	}
	return resp, nil
}

// evacuation is how many seconds it takes at least to read every recorded disc of a library once; 0 when no drive is in service.
func evacuation(l postgres.Library, t postgres.Timing) float64 {
	if l.Up == 0 {
		return 0
	}
	p := physicsOf(t)
	exchanges := float64(l.Recorded) * (2*p.Move + p.Load)
	return max((exchanges+float64(l.RecordedBytes)/p.ReadRate)/float64(l.Up), exchanges/float64(max(l.Units, 1)))
}

func (s *libraryServer) ListElements(ctx context.Context, req *pb.ListElementsRequest) (*pb.ListElementsResponse, error) {
	elements, err := s.store.Elements(ctx, req.GetLibrary(), elementKinds[req.GetKind()], req.GetFlaggedOnly())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListElementsResponse{}
	for _, e := range elements {
		resp.Elements = append(resp.Elements, elementProto(e))
	}
	return resp, nil
}

func (s *libraryServer) ListDrives(ctx context.Context, req *pb.ListDrivesRequest) (*pb.ListDrivesResponse, error) {
	drives, err := s.store.Drives(ctx, req.GetLibrary())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListDrivesResponse{}
	for _, d := range drives {
		resp.Drives = append(resp.Drives, driveProto(d))
	}
	return resp, nil
}

func (s *libraryServer) SetDrive(ctx context.Context, req *pb.SetDriveRequest) (*pb.Drive, error) {
	if req.GetState() != pb.DriveState_DRIVE_STATE_UP && req.GetState() != pb.DriveState_DRIVE_STATE_DOWN {
		return nil, library.Errorf(library.Invalid, "set drive %d: say up or down", req.GetNumber())
	}
	if err := s.store.SetDrive(ctx, req.GetLibrary(), int(req.GetNumber()), req.GetState() == pb.DriveState_DRIVE_STATE_UP, req.GetReason()); err != nil {
		return nil, err
	}
	return s.drive(ctx, req.GetLibrary(), req.GetNumber())
}

func (s *libraryServer) SetDriveMedia(ctx context.Context, req *pb.SetDriveMediaRequest) (*pb.Drive, error) {
	if err := s.store.SetDriveMedia(ctx, req.GetLibrary(), int(req.GetNumber()), req.GetReads(), req.GetReadOnly()); err != nil {
		return nil, err
	}
	return s.drive(ctx, req.GetLibrary(), req.GetNumber())
}

func (s *libraryServer) drive(ctx context.Context, lib string, number int32) (*pb.Drive, error) {
	drives, err := s.store.Drives(ctx, lib)
	for _, d := range drives {
		if d.Number == int(number) {
			return driveProto(d), nil
		}
	}
	return nil, err
}

func (s *libraryServer) ListDiscs(ctx context.Context, req *pb.ListDiscsRequest) (*pb.ListDiscsResponse, error) {
	n, err := pageSize(req.GetPageSize(), 1000, 10000)
	if err != nil {
		return nil, err
	}
	discs, err := s.store.Discs(ctx, postgres.DiscFilter{
		Library: req.GetLibrary(), State: discStates[req.GetState()], Labels: req.GetLabels(), Grade: gradeOf(req.GetGrade()), Together: req.GetTogether(),
		After: req.GetPageToken(), Limit: n + 1,
	})
	if err != nil {
		return nil, err
	}
	resp := &pb.ListDiscsResponse{}
	if len(discs) > n {
		discs = discs[:n]
		resp.NextPageToken = discs[n-1].Label
	}
	for _, d := range discs {
		resp.Discs = append(resp.Discs, discProto(d))
	}
	return resp, nil
}

func (s *libraryServer) StockBlanks(ctx context.Context, req *pb.StockBlanksRequest) (*pb.StockBlanksResponse, error) {
	ranges := make([]postgres.SlotRange, len(req.GetSlots()))
	for i, r := range req.GetSlots() {
		ranges[i] = postgres.SlotRange{First: int(r.GetFirst()), Last: int(r.GetLast())}
	}
	got, err := s.store.StockBlanks(ctx, req.GetLibrary(), ranges, req.GetMedium(), req.GetCapacity())
	if err != nil {
		return nil, err
	}
	return &pb.StockBlanksResponse{
		Added: int32(got.Added), Known: int32(got.Known), Corrected: int32(got.Corrected), Kept: int32(got.Kept), Example: got.Example,
	}, nil
}

func (s *libraryServer) SetElement(ctx context.Context, req *pb.SetElementRequest) (*pb.Element, error) {
	e, err := s.store.SetElement(ctx, req.GetLibrary(), placeOf(req.GetAddress()), fillOf(req.GetFill()), req.GetDisc())
	if err != nil {
		return nil, err
	}
	return elementProto(e), nil
}

func (s *libraryServer) StartScrub(ctx context.Context, req *pb.StartScrubRequest) (*pb.Job, error) {
	j, err := s.store.StartScrub(ctx, uuid.NewString(), append([]string{}, req.GetDiscs()...), req.GetDue())
	if err != nil {
		return nil, err
	}
	return jobProto(j), nil
}

func (s *libraryServer) Statistics(ctx context.Context, _ *pb.StatisticsRequest) (*pb.StatisticsResponse, error) {
	st, err := s.store.Statistics(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.StatisticsResponse{
		DiscsBurned: st.DiscsBurned, DiscsVerified: st.DiscsVerified, DiscsSpoiled: st.DiscsSpoiled, Moves: st.Moves,
		BytesBurned: st.BytesBurned, BytesVerified: st.BytesVerified, BytesRead: st.BytesRead,
		BurnSeconds: st.BurnSeconds, VerifySeconds: st.VerifySeconds, ReadSeconds: st.ReadSeconds,
		BytesStaged: st.BytesStaged, BytesCached: st.BytesCached,
	}, nil
}

var elementKinds = map[pb.ElementKind]postgres.ElementKind{
	pb.ElementKind_ELEMENT_KIND_SLOT:     postgres.Slot,
	pb.ElementKind_ELEMENT_KIND_DRIVE:    postgres.DriveBay,
	pb.ElementKind_ELEMENT_KIND_MAILSLOT: postgres.MailSlot,
	pb.ElementKind_ELEMENT_KIND_PICKER:   postgres.Picker,
}

var discStates = map[pb.DiscState]library.DiscState{
	pb.DiscState_DISC_STATE_BLANK:     library.Blank,
	pb.DiscState_DISC_STATE_BURNING:   library.Burning,
	pb.DiscState_DISC_STATE_VERIFYING: library.Verifying,
	pb.DiscState_DISC_STATE_GOOD:      library.Good,
	pb.DiscState_DISC_STATE_SUSPECT:   library.Suspect,
	pb.DiscState_DISC_STATE_RETIRED:   library.Retired,
	pb.DiscState_DISC_STATE_SPOILED:   library.Spoiled,
	pb.DiscState_DISC_STATE_LOST:      library.Lost,
}

// key returns the key of a value in a table of the wire's words and ours.
func key[K, V comparable](table map[K]V, value V) (k K) {
	for k, v := range table {
		if v == value {
			return k
		}
	}
	return k
}

func placeOf(a *pb.Address) postgres.Place {
	return postgres.Place{Kind: elementKinds[a.GetKind()], Number: int(a.GetNumber())}
}

func addressProto(p postgres.Place) *pb.Address {
	if p.Number == 0 {
		return nil
	}
	return &pb.Address{Kind: key(elementKinds, p.Kind), Number: int32(p.Number)}
}

func fillOf(f pb.Fill) postgres.Fill {
	switch f {
	case pb.Fill_FILL_EMPTY:
		return postgres.Empty
	case pb.Fill_FILL_FULL:
		return postgres.Full
	default:
		return postgres.Unknown
	}
}

func fillProto(f postgres.Fill) pb.Fill {
	switch f {
	case postgres.Empty:
		return pb.Fill_FILL_EMPTY
	case postgres.Full:
		return pb.Fill_FILL_FULL
	default:
		return pb.Fill_FILL_UNKNOWN
	}
}

func elementProto(e postgres.Element) *pb.Element {
	return &pb.Element{Address: addressProto(e.Place), Unit: int32(e.Unit), Fill: fillProto(e.Fill), Disc: e.Disc, Flag: e.Flag, Trouble: e.Trouble, Tag: e.Tag}
}

func driveProto(d postgres.Drive) *pb.Drive {
	state := pb.DriveState_DRIVE_STATE_DOWN
	if d.Up {
		state = pb.DriveState_DRIVE_STATE_UP
	}
	return &pb.Drive{
		Library: d.Library, Number: int32(d.Number), Name: d.Name, State: state, Reason: d.Reason, Disc: d.Disc, Doing: d.Doing, BytesDone: d.BytesDone, Bytes: d.Bytes,
		Readings: d.Readings, Charges: d.Charges, Suspect: d.Suspect,
		Fault: d.Fault, Trouble: d.Trouble, Tag: d.Tag,
		Reads: d.Reads, ReadOnly: d.ReadOnly,
	}
}

func discProto(d postgres.Disc) *pb.Disc {
	return &pb.Disc{
		Label: d.Label, State: key(discStates, d.State), Library: d.Library, Place: addressProto(d.Place), Medium: d.Medium, Capacity: d.Capacity,
		Recorded: d.Recorded, ImageId: d.ImageID, Vault: d.Vault, Burned: maybe(d.Burned), Verified: maybe(d.Verified), Reason: d.Reason,
		Grade: gradeProto(d.Grade), GradeReason: d.GradeReason, GradeConfirmed: d.Confirmed, ScrubDue: maybe(d.ScrubDue), MediaId: d.MediaID, Lot: d.Lot,
		SpareAreas: d.SpareAreas, Tag: d.Tag,
	}
}

func maybe(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
