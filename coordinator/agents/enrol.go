package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nanofleet/nanofleet/coordinator/state"
	"github.com/nanofleet/nanofleet/internal/pki"
	"github.com/nanofleet/nanofleet/internal/secrets"
	"github.com/nanofleet/nanofleet/internal/transport"
	"github.com/nanofleet/nanofleet/wire"
)

// certTTL is short because renewal is automatic, at half life.
const certTTL = 24 * time.Hour

// exchangeTimeout bounds an enrolment or a renewal.
const exchangeTimeout = 15 * time.Second

// enrol spends a join token: the node gets an id and a certificate. Using the token
// and registering the node is one command, so that a token admits one node whatever
// happens in between.
func (s *Server) enrol(ctx context.Context, st *transport.Stream) error {
	_ = st.SetDeadline(time.Now().Add(exchangeTimeout))
	var req wire.EnrolRequest
	if err := wire.ReadFrame(st, &req); err != nil {
		return err
	}
	got, err := s.admit(ctx, &req)
	if err != nil {
		s.log.Warn("a host was refused", "hostname", req.GetHostname(), "token", req.GetTokenId(), "reason", err)
		return wire.WriteFrame(st, refusal(err))
	}
	s.log.Info("a host joined", "node", got.GetNodeId(), "hostname", req.GetHostname(), "token", req.GetTokenId())
	return wire.WriteFrame(st, &wire.EnrolResponse{Result: &wire.EnrolResponse_Enrolled{Enrolled: got}})
}

func (s *Server) admit(ctx context.Context, req *wire.EnrolRequest) (*wire.Enrolled, error) {
	csr, err := pki.ParseCSR(req.GetCsr())
	if err != nil {
		return nil, err
	}
	now, id := s.now(), "node-"+s.newID()
	use := &state.UseJoinToken{
		ID:         req.GetTokenId(),
		SecretHash: secrets.Hash(req.GetTokenSecret()),
		Node: state.Node{
			ID: id, Hostname: req.GetHostname(), Role: string(pki.RoleAgent),
			KeyHash: keyHash(csr.RawSubjectPublicKeyInfo), JoinedMS: now.UnixMilli(),
		},
		NowMS: now.UnixMilli(),
	}
	if err := s.replica.Apply(ctx, use); err != nil {
		return nil, err
	}
	return s.certify(req.GetCsr(), pki.Peer{Role: pki.RoleAgent, NodeID: id}, now)
}

func (s *Server) certify(csr []byte, peer pki.Peer, now time.Time) (*wire.Enrolled, error) {
	chain, err := s.ca.Sign(csr, peer, certTTL, now)
	if err != nil {
		return nil, err
	}
	return &wire.Enrolled{
		NodeId: peer.NodeID, Chain: chain, Ca: s.ca.Certificate().Raw, Coordinators: s.addrs(),
	}, nil
}

// renew gives a member a new certificate for the key it joined with.
func (s *Server) renew(ctx context.Context, conn *transport.Conn, st *transport.Stream) error {
	_ = st.SetDeadline(time.Now().Add(exchangeTimeout))
	var req wire.RenewRequest
	if err := wire.ReadFrame(st, &req); err != nil {
		return err
	}
	got, err := s.extend(conn.Peer(), req.GetCsr())
	if err != nil {
		s.log.Warn("a renewal was refused", "peer", conn.Peer().String(), "reason", err)
		return wire.WriteFrame(st, refusal(err))
	}
	return wire.WriteFrame(st, &wire.EnrolResponse{Result: &wire.EnrolResponse_Enrolled{Enrolled: got}})
}

func (s *Server) extend(peer pki.Peer, csrDER []byte) (*wire.Enrolled, error) {
	node, err := s.member(peer)
	if err != nil {
		return nil, err
	}
	csr, err := pki.ParseCSR(csrDER)
	if err != nil {
		return nil, err
	}
	if keyHash(csr.RawSubjectPublicKeyInfo) != node.KeyHash {
		return nil, errOtherKey
	}
	return s.certify(csrDER, peer, s.now())
}

// Refusals of a node, in words it may show.
var (
	errNotMember = errors.New("this node is not, or no longer, a member of the fleet; join again with a new token")
	errOtherKey  = errors.New("the certificate request holds another key than the node joined with")
)

// Admit refuses a peer that is no member, in words it may show; other coordinators
// are known by their certificates alone.
func (s *Server) Admit(peer pki.Peer) error {
	if peer.Role == pki.RoleCoordinator {
		return nil
	}
	_, err := s.member(peer)
	return err
}

// member finds the node behind a certificate, unless it was removed or revoked.
func (s *Server) member(peer pki.Peer) (state.Node, error) {
	node, ok := s.replica.Snapshot().Node(peer.NodeID)
	if !ok || node.RevokedMS != 0 || node.Role != string(peer.Role) {
		return state.Node{}, errNotMember
	}
	return node, nil
}

func refusal(err error) *wire.EnrolResponse {
	return &wire.EnrolResponse{Result: &wire.EnrolResponse_Error{Error: &wire.Error{
		Code: wire.ErrorCode_ERROR_CODE_DENIED, Message: fmt.Sprint(err),
	}}}
}

// keyHash is the form in which state keeps a node's public key.
func keyHash(spki []byte) string {
	h := sha256.Sum256(spki)
	return hex.EncodeToString(h[:])
}
