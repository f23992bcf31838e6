package controller

import (
	"context"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/health"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// healings are the grades of the wire's policies.
var healings = map[pb.Healing]health.Grade{
	pb.Healing_HEALING_UNSPECIFIED:  health.MigrateNow,
	pb.Healing_HEALING_OPERATOR:     health.Ungraded,
	pb.Healing_HEALING_MIGRATE_NOW:  health.MigrateNow,
	pb.Healing_HEALING_MIGRATE_SOON: health.MigrateSoon,
}

func healingOf(h pb.Healing) (health.Grade, error) {
	g, ok := healings[h]
	if !ok {
		return g, library.Errorf(library.Invalid, "there is no policy %d of replacing discs", h)
	}
	return g, nil
}

func healingProto(at string) pb.Healing {
	for h, g := range healings {
		if g.String() == at && h != pb.Healing_HEALING_UNSPECIFIED {
			return h
		}
	}
	return pb.Healing_HEALING_UNSPECIFIED
}

func (s *healthServer) SetHealing(ctx context.Context, req *pb.SetHealingRequest) (*pb.Vault, error) {
	at, err := healingOf(req.GetHealing())
	if err != nil {
		return nil, err
	}
	v, err := s.store.SetHealing(ctx, req.GetVault(), at)
	if err != nil {
		return nil, err
	}
	return vaultProto(v), nil
}
