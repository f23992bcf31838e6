package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// largestAnswer is the size in bytes up to which an answer is accepted: a read task names up to 16,384 extents, and
// there may be one for every drive.
const largestAnswer = 64 << 20

// dial prepares the connection to the controller. It is made with the first call, and made anew when it breaks.
func dial(c Config) (*grpc.ClientConn, error) {
	creds, err := credentialsFor(c)
	if err != nil {
		return nil, fmt.Errorf("connect to controller %s: %w", c.Controller, err)
	}
	conn, err := grpc.NewClient(c.Controller,
		grpc.WithTransportCredentials(creds),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: shortestWait, Multiplier: 2, Jitter: 0.2, MaxDelay: longestWait},
			MinConnectTimeout: 5 * time.Second,
		}),
		// The timeout is also that of TCP: a controller that vanished without a word is noticed while a call waits.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 20 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)))
	if err != nil {
		return nil, fmt.Errorf("connect to controller %s: %w", c.Controller, err)
	}
	return conn, nil
}

// credentialsFor returns plain text for this host, and TLS otherwise.
func credentialsFor(c Config) (credentials.TransportCredentials, error) {
	if c.TLS.CA == "" {
		if c.TLS.Plain || isLocal(c.Controller) {
			return insecure.NewCredentials(), nil
		}
		return nil, errors.New("it is another host, so tls.ca is needed (or tls.plain = true)")
	}
	pem, err := os.ReadFile(c.TLS.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.ca: %w", err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: c.TLS.ServerName, MinVersion: tls.VersionTLS13}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.ca: %s has no certificate", c.TLS.CA)
	}
	if c.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert and tls.key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

// isLocal says whether an address is on this host for certain.
func isLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
