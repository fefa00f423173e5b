package control

import "context"

var (
	DecodeRequest = decodeRequest
	EncodeLine    = encodeLine
	ClientAllowed = clientAllowed
	ServerTrusted = serverTrusted
)

const (
	MaxConns     = maxConns
	MaxPerMethod = maxPerMethod
	MaxPath      = maxPath
	MaxRequest   = maxRequest
	MaxDepth     = maxDepth
)

type Request = request

type Backoff struct{ backoff }

func (b *Backoff) Wait(ctx context.Context) { b.wait(ctx) }
