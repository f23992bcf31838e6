package agent

import (
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

var kinds = map[pb.ElementKind]robot.Kind{
	pb.ElementKind_ELEMENT_KIND_SLOT:     robot.Slot,
	pb.ElementKind_ELEMENT_KIND_DRIVE:    robot.DriveBay,
	pb.ElementKind_ELEMENT_KIND_MAILSLOT: robot.MailSlot,
	pb.ElementKind_ELEMENT_KIND_PICKER:   robot.Picker,
}

// addressOf returns the element of a message. One of an unknown kind has no kind.
func addressOf(a *pb.Address) robot.Address {
	return robot.Address{Kind: kinds[a.GetKind()], Number: int(a.GetNumber())}
}

// message returns the message of an element, nil of none.
func message(a robot.Address) *pb.Address {
	for k, kind := range kinds {
		if kind == a.Kind {
			return &pb.Address{Kind: k, Number: int32(a.Number)}
		}
	}
	return nil
}

func fillMessage(f robot.Fill) pb.Fill {
	switch f {
	case robot.Empty:
		return pb.Fill_FILL_EMPTY
	case robot.Full:
		return pb.Fill_FILL_FULL
	default:
		return pb.Fill_FILL_UNKNOWN
	}
}
