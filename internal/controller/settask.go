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
	}
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
