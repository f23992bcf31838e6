package controller

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func setProto(p postgres.SetPlace) *pb.SetRef {
	if p.Set == "" {
		return nil
	}
	return &pb.SetRef{Id: p.Set, Data: int32(p.Data), Parity: int32(p.Parity)}
}

func setImages(images []postgres.SetImage) (all []*pb.SetImage) {
	for _, i := range images {
		all = append(all, &pb.SetImage{Index: int32(i.Index), ImageId: i.ID, Label: catalogue.LabelOf(i.Number), Sectors: i.Sectors, Sha256: i.SHA256})
	}
	return all
}

// setTaskProto fills in the work of the tasks that keep sets.
func setTaskProto(t postgres.Task, p *pb.Task) {
	w := t.Set
	if w == nil { // it runs
		return
	}
	switch t.Kind {
	case library.GatherTask:
		g := &pb.Gather{Set: setProto(w.SetPlace), Index: int32(w.Index), ImageId: t.ImageID, Sectors: t.Sectors, DataSectors: w.DataSectors, Sha256: t.SHA256}
		g.Label = catalogue.LabelOf(w.Number)
		p.Work = &pb.Task_Gather{Gather: g}
	case library.SealTask:
		p.Work = &pb.Task_Seal{Seal: &pb.Seal{
			Set: setProto(w.SetPlace), Created: timestamppb.New(w.Closed), Parities: setImages(w.Parities), Members: setImages(w.Members),
		}}
	case library.RebuildTask:
		p.Work = &pb.Task_Rebuild{Rebuild: &pb.Rebuild{
			Set: setProto(w.SetPlace), Index: int32(w.Index), ImageId: t.ImageID, Sectors: t.Sectors, LayerSectors: t.Layer, Sha256: t.SHA256,
			Description: w.Description, Sources: setImages(w.AtHand),
		}}
		if n := t.Torn; n != nil && n.Torn {
			r := p.GetRebuild()
			r.Torn = true
			for _, index := range n.RowsOf {
				r.RowsOf = append(r.RowsOf, int32(index))
			}
		}
	}
}

// earlyProto says of what an early serve computes what it serves; nil of any other, and of one that runs.
func earlyProto(t postgres.Task) *pb.Rebuild {
	w, n := t.Set, t.Torn
	if w == nil || n == nil {
		return nil
	}
	r := &pb.Rebuild{Set: setProto(w.SetPlace), Index: int32(n.Index), ImageId: t.ImageID, Sectors: t.Sectors, LayerSectors: t.Layer, Description: w.Description, Sources: setImages(w.AtHand)}
	for _, index := range n.RowsOf {
		r.RowsOf = append(r.RowsOf, int32(index))
	}
	return r
}

// parityProto says what a parity image is made of.
func parityProto(w *postgres.SetWork) *pb.Parity {
	p := &pb.Parity{Set: setProto(w.SetPlace), Number: int32(w.Index - w.Data)}
	if c := w.Carries; c != nil {
		p.Info = c.Info
		if s := c.Snapshot; s != nil {
			p.Snapshot = &pb.SnapshotRef{Id: s.ID, Bytes: s.Bytes, Sha256: s.SHA256}
		}
	}
	return p
}

// copyProto fills in the work of a read for the scratch disk: of a whole disc, or of rows that another image's copy lacks.
func copyProto(t postgres.Task, p *pb.Task) {
	n := t.Torn
	if n == nil || n.Of == "" {
		c := &pb.Copy{ImageId: t.ImageID, Drive: int32(t.Drive), Sectors: t.Sectors, LayerSectors: t.Layer, Sha256: t.SHA256}
		if n != nil {
			c.ProtectedSectors = n.Protected
		}
		p.Work = &pb.Task_Copy{Copy: c}
		return
	}
	c := &pb.CopyRows{
		ImageId: t.ImageID, Drive: int32(t.Drive), Sectors: t.Sectors, LayerSectors: t.Layer,
		Set: setProto(n.SetPlace), Index: int32(n.Index), ProtectedSectors: n.Protected, TornId: n.Of, Early: n.Early,
	}
	for _, r := range n.Rows {
		c.Rows = append(c.Rows, &pb.SectorRun{First: r.First, Count: r.Count})
	}
	p.Work = &pb.Task_CopyRows{CopyRows: c}
}

func runsOf(runs []*pb.SectorRun) (all []postgres.Run) {
	for _, r := range runs {
		all = append(all, postgres.Run{First: r.GetFirst(), Count: r.GetCount()})
	}
	return all
}
