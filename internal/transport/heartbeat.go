package transport

import (
	"context"
	"sync/atomic"
	"time"
)

// beatSize of a heartbeat. QUIC's own keep-alive packets are too small to be answered
// with a stateless reset (RFC 9000 10.3: over 41 bytes), so that a restarted process
// could not tell its old peers; these are large enough.
const beatSize = 32

// heartbeat tells the peer every KeepAlive that we live, in datagrams, and notes when
// it told us.
type heartbeat struct {
	heard atomic.Int64 // Unix nanoseconds
}

// LastHeard is when the peer's last heartbeat came. A peer sends one each KeepAlive;
// three missing in a row mean that it hangs or that the way is cut.
func (c *Conn) LastHeard() time.Time { return time.Unix(0, c.beats.heard.Load()) }

func (c *Conn) startBeats() {
	c.beats.heard.Store(time.Now().UnixNano())
	go c.sendBeats()
	go c.receiveBeats()
}

func (c *Conn) sendBeats() {
	tick := time.NewTicker(KeepAlive)
	defer tick.Stop()
	for beat := make([]byte, beatSize); ; {
		select {
		case <-tick.C:
		case <-c.Done():
			return
		}
		if err := c.quic.SendDatagram(beat); err != nil {
			return // the connection has ended
		}
	}
}

func (c *Conn) receiveBeats() {
	for {
		if _, err := c.quic.ReceiveDatagram(context.Background()); err != nil {
			return // the connection has ended
		}
		c.beats.heard.Store(time.Now().UnixNano())
	}
}
