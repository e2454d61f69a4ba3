package live

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// forwarder is an address of this machine behind which a server in a namespace answers, for clients that make their connections themselves.
type forwarder struct {
	l    net.Listener
	to   string
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// forward begins to forward; close ends it.
func (c *Cluster) forward(to string) (*forwarder, error) {
	l, err := net.Listen("tcp", loopback.address(0))
	if err != nil {
		return nil, err
	}
	f := &forwarder{l: l, to: to, dial: c.dial}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.wg.Go(f.accept) // joined by close
	return f, nil
}

func (f *forwarder) address() string { return f.l.Addr().String() }

func (f *forwarder) accept() {
	for {
		in, err := f.l.Accept()
		if err != nil {
			return // closed
		}
		f.wg.Go(func() { f.carry(in) })
	}
}

// carry brings bytes both ways until either end closes.
func (f *forwarder) carry(in net.Conn) {
	defer func() { _ = in.Close() }()
	ctx, cancel := context.WithTimeout(f.ctx, connectLimit)
	out, err := f.dial(ctx, "tcp", f.to)
	cancel()
	if err != nil {
		return // the client sees its connection end
	}
	defer func() { _ = out.Close() }()
	closeBoth := func() { _, _ = in.Close(), out.Close() }
	ended := context.AfterFunc(f.ctx, closeBoth)
	defer ended()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(in, out) // its end, however it comes, is the end of both
		closeBoth()
	})
	_, _ = io.Copy(out, in)
	closeBoth()
	back.Wait()
}

func (f *forwarder) close() error {
	f.stop()
	err := f.l.Close()
	f.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
