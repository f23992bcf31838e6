package cli

import (
	"fmt"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func listElements(a *app, elements []*pb.Element) error {
	return listBy(a, elements, []column[*pb.Element]{
		{head: "PLACE", cell: func(e *pb.Element) string { return place(e.GetAddress()) }},
		{head: "UNIT", cell: func(e *pb.Element) string { return fmt.Sprint(e.GetUnit()) }},
		{head: "FILL", cell: func(e *pb.Element) string { return word(e.GetFill(), "FILL_") }},
		{head: "DISC", cell: (*pb.Element).GetDisc},
		{head: "TAG", optional: true, cell: (*pb.Element).GetTag},
		{head: "FLAG", cell: (*pb.Element).GetFlag},
		{head: "TROUBLE", optional: true, cell: (*pb.Element).GetTrouble},
	})
}

func listDrives(a *app, drives []*pb.Drive) error {
	return listBy(a, drives, []column[*pb.Drive]{
		{head: "LIBRARY", cell: (*pb.Drive).GetLibrary},
		{head: "DRIVE", cell: func(d *pb.Drive) string { return fmt.Sprint(d.GetNumber()) }},
		{head: "NAME", cell: (*pb.Drive).GetName},
		{head: "STATE", cell: func(d *pb.Drive) string { return word(d.GetState(), "DRIVE_STATE_") }},
		{head: "DISC", cell: (*pb.Drive).GetDisc},
		{head: "TAG", optional: true, cell: (*pb.Drive).GetTag},
		{head: "DOING", cell: (*pb.Drive).GetDoing},
		{head: "DONE", cell: func(d *pb.Drive) string {
			if d.GetBytes() == 0 {
				return ""
			}
			return fmt.Sprintf("%d %%", d.GetBytesDone()*100/d.GetBytes())
		}},
		{head: "READ", cell: func(d *pb.Drive) string { return fmt.Sprint(d.GetReadings()) }},
		{head: "CHARGED", cell: func(d *pb.Drive) string { return fmt.Sprint(d.GetCharges()) }},
		{head: "REASON", cell: func(d *pb.Drive) string {
			if d.GetReason() != "" {
				return d.GetReason()
			}
			return d.GetSuspect()
		}},
		{head: "FAULT", optional: true, cell: func(d *pb.Drive) string {
			if d.GetFault() == d.GetReason() {
				return ""
			}
			return d.GetFault()
		}},
		{head: "TROUBLE", optional: true, cell: (*pb.Drive).GetTrouble},
	})
}

func listDiscs(a *app, discs []*pb.Disc) error {
	return listBy(a, discs, []column[*pb.Disc]{
		{head: "DISC", cell: (*pb.Disc).GetLabel},
		{head: "STATE", cell: func(d *pb.Disc) string { return word(d.GetState(), "DISC_STATE_") }},
		{head: "HEALTH", cell: shortGrade},
		{head: "LIBRARY", cell: (*pb.Disc).GetLibrary},
		{head: "PLACE", cell: func(d *pb.Disc) string { return place(d.GetPlace()) }},
		{head: "TAG", optional: true, cell: (*pb.Disc).GetTag},
		{head: "MEDIUM", cell: (*pb.Disc).GetMedium},
		{head: "RECORDED", cell: func(d *pb.Disc) string { return size(d.GetRecorded() * 2048) }},
		{head: "OF", cell: func(d *pb.Disc) string { return size(d.GetCapacity() * 2048) }},
		{head: "VAULT", cell: (*pb.Disc).GetVault},
		{head: "VERIFIED", cell: func(d *pb.Disc) string { return when(d.GetVerified()) }},
		{head: "REASON", cell: (*pb.Disc).GetReason},
	})
}
