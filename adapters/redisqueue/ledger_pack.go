package redisqueue

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// packer writes MessagePack as scripts read it with cmsgpack.
type packer struct{ bytes []byte }

func newPacker(size int) *packer { return &packer{bytes: make([]byte, 0, size)} }

// String returns what was written.
func (p *packer) String() string { return string(p.bytes) }

func (p *packer) list(n int) {
	if n < 16 {
		p.bytes = append(p.bytes, 0x90|byte(n&0x0f))
		return
	}
	p.bytes = binary.BigEndian.AppendUint32(append(p.bytes, 0xdd), uint32(n)) //nolint:gosec // batches are bounded
}

func (p *packer) text(s string) {
	if len(s) < 32 {
		p.bytes = append(p.bytes, 0xa0|byte(len(s)&0x1f))
	} else {
		p.bytes = binary.BigEndian.AppendUint32(append(p.bytes, 0xdb), uint32(len(s))) //nolint:gosec // nothing is that long
	}
	p.bytes = append(p.bytes, s...)
}

func (p *packer) number(n int64) {
	if n >= 0 && n < 128 {
		p.bytes = append(p.bytes, byte(n))
		return
	}
	p.bytes = binary.BigEndian.AppendUint64(append(p.bytes, 0xd3), uint64(n)) //nolint:gosec // two's complement is meant
}

func (p *packer) flag(b bool) {
	if b {
		p.bytes = append(p.bytes, 0xc3)
		return
	}
	p.bytes = append(p.bytes, 0xc2)
}

// unpackerOf reads a script's reply, which must be text.
func unpackerOf(reply any) unpacker {
	packed, ok := reply.(string)
	if !ok {
		return unpacker{err: errReply}
	}
	return unpacker{rest: packed}
}

// want fails unless ok.
func (u *unpacker) want(ok bool) {
	if !ok {
		u.fail()
	}
}

// end returns the first mistake; what is left over is one.
func (u *unpacker) end() error {
	u.want(u.rest == "" && u.err == nil)
	return u.err
}

// string reads a string that must be there.
func (u *unpacker) string() string {
	text, some := u.text()
	u.want(some)
	return text
}

func (u *unpacker) flag() bool {
	head := u.take(1)
	u.want(head == "\xc2" || head == "\xc3")
	return head == "\xc3"
}

// long reads a whole number of any size.
func (u *unpacker) long() int64 {
	head := u.take(1)
	if head == "" {
		return 0
	}
	switch c := head[0]; {
	case c < 0x80:
		return int64(c)
	case c >= 0xe0:
		return int64(int8(c)) //nolint:gosec // two's complement is meant
	case c >= 0xcc && c <= 0xcf:
		return int64(u.word(1 << (c - 0xcc))) //nolint:gosec // numbers of scripts are below 2^53
	case c >= 0xd0 && c <= 0xd3:
		width := 1 << (c - 0xd0)
		shift := 64 - 8*width
		return int64(u.word(width)<<shift) >> shift //nolint:gosec // two's complement is meant
	}
	u.fail()
	return 0
}

// word reads a big-endian number of width bytes.
func (u *unpacker) word(width int) uint64 {
	raw := u.take(width)
	var wide [8]byte
	copy(wide[8-len(raw):], raw)
	return binary.BigEndian.Uint64(wide[:])
}

func (u *unpacker) milli() time.Time { return time.UnixMilli(u.long()).UTC() }

// run returns the run that the text names.
func (u *unpacker) run(text string) domain.RunKey {
	run, err := domain.DecodeRunKey(text)
	u.want(err == nil)
	return run
}

const (
	// verdictFields is how many fields each verdict of a script has,
	// claimFields how many a claim adds.
	verdictFields = 5
	claimFields   = 6
)

// claim reads what a script tells of the run's claim.
func (u *unpacker) claim(run domain.RunKey, lease time.Duration) domain.Claim {
	token, phase := u.long(), u.long()
	u.want(token > 0 && phase >= int64(domain.PhaseClaimed) && phase <= int64(domain.PhaseStarted))
	return domain.Claim{
		Run: run, Token: domain.ClaimToken(token), Phase: domain.Phase(phase), Lease: lease, //nolint:gosec // in range
		GrantedAt: time.UnixMicro(u.long()).UTC(), Crashes: int(u.long()), Attempts: int(u.long()), Fingerprint: strings.Clone(u.string()),
	}
}
