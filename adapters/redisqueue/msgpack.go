package redisqueue

import (
	"encoding/binary"
	"errors"
)

// errReply says that a script's reply is not what its version of Takt gives.
var errReply = errors.New("reply is not understood")

// unpacker reads the few kinds of MessagePack values that scripts reply with:
// strings, nil, booleans, unsigned numbers and lists
// (https://github.com/msgpack/msgpack/blob/master/spec.md). The first mistake
// sticks; what is read after it is empty.
type unpacker struct {
	rest string
	err  error
}

func (u *unpacker) fail() {
	u.rest, u.err = "", errReply
}

// take returns the next n bytes.
func (u *unpacker) take(n int) string {
	if n < 0 || n > len(u.rest) {
		u.fail()
		return ""
	}
	taken := u.rest[:n]
	u.rest = u.rest[n:]
	return taken
}

// size reads a big-endian length of width bytes.
func (u *unpacker) size(width int) int {
	raw := u.take(width)
	if len(raw) < width {
		return 0
	}
	var wide [8]byte
	copy(wide[8-width:], raw)
	return int(binary.BigEndian.Uint64(wide[:]) & 0x7fffffff)
}

// text reads a string; nil and false read as none.
func (u *unpacker) text() (text string, some bool) {
	head := u.take(1)
	if head == "" {
		return "", false
	}
	switch c := head[0]; {
	case c>>5 == 0b101:
		return u.take(int(c & 0x1f)), true
	case c == 0xd9:
		return u.take(u.size(1)), true
	case c == 0xda:
		return u.take(u.size(2)), true
	case c == 0xdb:
		return u.take(u.size(4)), true
	case c == 0xc0 || c == 0xc2:
		return "", false
	}
	u.fail()
	return "", false
}

// number reads an unsigned number of at most 32 bits.
func (u *unpacker) number() int {
	head := u.take(1)
	if head == "" {
		return 0
	}
	switch c := head[0]; {
	case c < 0x80:
		return int(c)
	case c == 0xcc:
		return u.size(1)
	case c == 0xcd:
		return u.size(2)
	case c == 0xce:
		return u.size(4)
	}
	u.fail()
	return 0
}

// list reads the length of a list. An empty table of Lua is an empty list, or
// an empty map. A length that what is left cannot hold is a mistake.
func (u *unpacker) list() int {
	n := u.length()
	if n > len(u.rest) {
		u.fail()
		return 0
	}
	return n
}

func (u *unpacker) length() int {
	head := u.take(1)
	if head == "" {
		return 0
	}
	switch c := head[0]; {
	case c>>4 == 0b1001:
		return int(c & 0x0f)
	case c == 0x80:
		return 0
	case c == 0xdc:
		return u.size(2)
	case c == 0xdd:
		return u.size(4)
	}
	u.fail()
	return 0
}
