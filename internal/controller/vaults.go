package controller

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// vaultServer serves VaultService.
type vaultServer struct {
	pb.UnimplementedVaultServiceServer
	store *postgres.Store
}

// defaultRoots gives an eighth of each disc to its error correction: the data may lose a scratch of that size anywhere.
const defaultRoots = 32

func (s *vaultServer) CreateVault(ctx context.Context, req *pb.CreateVaultRequest) (*pb.Vault, error) {
	copies := int(req.GetCopies())
	if copies == 0 {
		copies = 1
	}
	roots := defaultRoots
	if req.Roots != nil {
		roots = int(req.GetRoots())
	}
	v, err := s.store.CreateVault(ctx, postgres.Vault{
		Name: req.GetName(), Copies: copies, MaxWait: time.Duration(req.GetMaxWaitSeconds()) * time.Second, Roots: roots,
		SetData: int(req.GetSetData()), SetParity: int(req.GetSetParity()),
	})
	if err != nil {
		return nil, err
	}
	if err := s.store.KeepSpareAreas(ctx, v.ID, req.GetSpareAreas()); err != nil {
		return nil, err
	}
	v.SpareAreas = req.GetSpareAreas()
	if req.GetHealing() != pb.Healing_HEALING_UNSPECIFIED {
		at, err := healingOf(req.GetHealing())
		if err != nil {
			return nil, err
		}
		if v, err = s.store.SetHealing(ctx, v.Name, at); err != nil {
			return nil, err
		}
	}
	if req.GetTogether() {
		if v, err = s.store.SetApart(ctx, v.Name, false); err != nil {
			return nil, err
		}
	}
	return vaultProto(v), nil
}

func (s *vaultServer) SetApart(ctx context.Context, req *pb.SetApartRequest) (*pb.Vault, error) {
	v, err := s.store.SetApart(ctx, req.GetVault(), !req.GetTogether())
	if err != nil {
		return nil, err
	}
	return vaultProto(v), nil
}

func (s *vaultServer) GetVault(ctx context.Context, req *pb.GetVaultRequest) (*pb.Vault, error) {
	v, err := s.store.Vault(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return vaultProto(v), nil
}

func (s *vaultServer) ListVaults(ctx context.Context, _ *pb.ListVaultsRequest) (*pb.ListVaultsResponse, error) {
	vaults, err := s.store.Vaults(ctx)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListVaultsResponse{}
	for _, v := range vaults {
		resp.Vaults = append(resp.Vaults, vaultProto(v))
	}
	return resp, nil
}

func vaultProto(v postgres.Vault) *pb.Vault {
	return &pb.Vault{
		Id: v.ID, Name: v.Name, Copies: int32(v.Copies), MaxWaitSeconds: int64(v.MaxWait / time.Second),
		Roots: int32(v.Roots), ScrubIntervalSeconds: int64(v.Scrub / time.Second), SpareAreas: v.SpareAreas,
		SetData: int32(v.SetData), SetParity: int32(v.SetParity), Healing: healingProto(v.HealAt),
		Created: timestamppb.New(v.Created), Archives: v.Archives, Bytes: v.Bytes, Together: !v.Apart,
	}
}
