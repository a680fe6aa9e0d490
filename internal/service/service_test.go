// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"encoding/binary"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestVariables(t *testing.T) {
	long := strings.Repeat("x", maxValue)
	for name, test := range map[string]struct {
		name, attributes string
		want             Service
		malformed        int
	}{
		"nothing":                    {},
		"a name":                     {name: "shop", want: Service{Name: "shop"}},
		"a name between spaces":      {name: " shop ", want: Service{Name: "shop"}},
		"a name is not encoded":      {name: "a%20b=c,d", want: Service{Name: "a%20b=c,d"}},
		"a name that is no text":     {name: "\xff", malformed: 1},
		"the longest name":           {name: long, want: Service{Name: long}},
		"a name that is too long":    {name: long + "x", malformed: 1},
		"the name wins":              {name: "shop", attributes: "service.name=till", want: Service{Name: "shop"}},
		"an empty name says nothing": {attributes: "service.name=till", want: Service{Name: "till"}},
		"all that is taken": {
			attributes: "service.namespace=sales,service.name=till,service.version=1.2,service.instance.id=7,deployment.environment.name=prod",
			want:       Service{"till", "sales", "7", "1.2", "prod"},
		},
		"what is left out":                   {attributes: "host.name=h,process.pid=1,container.id=c,k8s.pod.name=p,secret=s"},
		"spaces":                             {attributes: " service.name = till , service.version = 1 ", want: Service{Name: "till", Version: "1"}},
		"encoded":                            {attributes: "service%2Ename=a%2Cb%3d%20%E2%82%AC+", want: Service{Name: "a,b= €+"}},
		"an equals sign in a value":          {attributes: "service.name=a=b", want: Service{Name: "a=b"}},
		"empty elements":                     {attributes: ",service.name=till,,", want: Service{Name: "till"}},
		"the last of two":                    {attributes: "service.name=a,service.name=b", want: Service{Name: "b"}},
		"the last of two that says anything": {attributes: "service.name=a,service.name=b,service.name=", want: Service{Name: "b"}},
		"one key, written in two ways":       {attributes: "service.name=a,service%2ename=b", want: Service{Name: "b"}},
		"an empty value":                     {attributes: "service.name=", want: Service{}},
		"no value":                           {attributes: "service.name=a,service.version", malformed: 1},
		"no key":                             {attributes: "service.name=a,=b", malformed: 1},
		"half an escape":                     {attributes: "service.name=a,x=%2", malformed: 1},
		"a wrong escape":                     {attributes: "service.name=a,x=%zz", malformed: 1},
		"no text":                            {attributes: "service.version=1,service.name=%ff", malformed: 1},
		"too long a value":                   {attributes: "service.version=1,service.name=" + long + "x", malformed: 1},
		"a long value that is not asked for": {attributes: "service.version=1,x=" + long + "x", want: Service{Version: "1"}},
		"the name is kept when the list is malformed": {
			name: "shop", attributes: "service.version=1,%", want: Service{Name: "shop"}, malformed: 1,
		},
		"both are malformed": {name: "\xff", attributes: "x", malformed: 2},
		"the list is kept when the name is malformed": {
			name: "\xff", attributes: "service.name=till", want: Service{Name: "till"}, malformed: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, malformed := FromVariables(map[string]string{nameVariable: test.name, attributesVariable: test.attributes})
			require.Equal(t, test.want, got)
			require.Equal(t, test.malformed, malformed)
		})
	}
}

func TestOrKeepsWhatIsKnown(t *testing.T) {
	context := Service{Name: "till", InstanceID: "7"}
	require.Equal(t, Service{"till", "sales", "7", "1", ""}, context.Or(Service{"shop", "sales", "8", "1", ""}))
	require.Equal(t, map[string]string{"service.name": "till", "service.instance.id": "7"}, maps.Collect(context.All))
}

func bytesField(number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
}

// keyValue is an attribute of a resource.
func keyValue(key, value string) []byte {
	any := bytesField(1, []byte(value))
	return bytesField(1, append(bytesField(1, []byte(key)), bytesField(2, any)...))
}

// ofResource is a context with other fields around the resource.
func ofResource(attributes ...[]byte) []byte {
	var resource []byte
	for _, a := range attributes {
		resource = append(resource, a...)
	}
	resource = protowire.AppendVarint(protowire.AppendTag(resource, 2, protowire.VarintType), 3)
	return append(bytesField(1, resource), bytesField(2, []byte("extra"))...)
}

func TestContext(t *testing.T) {
	number := bytesField(1, append(bytesField(1, []byte("service.version")),
		bytesField(2, protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 9))...))
	got, err := FromContext(ofResource(
		keyValue("service.name", "till"), keyValue("telemetry.sdk.name", "x"), keyValue("service.instance.id", "7"), number))
	require.NoError(t, err)
	require.Equal(t, Service{Name: "till", InstanceID: "7"}, got, "a value that is no string says nothing")

	got, err = FromContext(ofResource(
		keyValue("service.name", "a"), keyValue("service.name", "b"), keyValue("service.name", ""), keyValue("service.version", "")))
	require.NoError(t, err)
	require.Equal(t, Service{Name: "b"}, got, "the last that says anything")

	got, err = FromContext(nil)
	require.NoError(t, err)
	require.Zero(t, got)

	whole := ofResource(keyValue("service.name", "till"), keyValue("service.version", "1"))
	for _, bad := range [][]byte{
		whole[:len(whole)-20], {0xff}, bytesField(1, []byte{0x0a, 0x7f}),
		ofResource(keyValue("service.name", strings.Repeat("x", maxValue+1))),
		ofResource(keyValue("service.version", "1"), keyValue("service.name", "\xff")),
	} {
		got, err := FromContext(bad)
		require.ErrorIs(t, err, ErrMalformed)
		require.Zero(t, got)
	}
}

func header(version, size uint32, published, payload uint64) []byte {
	b := []byte(signature)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint64(b, published)
	return binary.LittleEndian.AppendUint64(b, payload)
}

func TestHeader(t *testing.T) {
	got, err := ParseHeader(header(2, 100, 5, 0x7000))
	require.NoError(t, err)
	require.Equal(t, Header{Published: 5, Payload: 0x7000, Size: 100}, got)
	got, err = ParseHeader(header(2, 1<<31, 0, 0))
	require.NoError(t, err, "it is being changed")
	require.Zero(t, got.Published)
	for _, bad := range [][]byte{
		nil, header(2, 1, 1, 1)[:31], header(1, 1, 1, 1), header(3, 1, 1, 1), make([]byte, HeaderSize),
		header(2, MaxPayload+1, 1, 1), header(2, 1<<32-1, 1, 1), header(2, 2, 1, 1<<64-1),
	} {
		_, err := ParseHeader(bad)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

// Nothing that a program says makes more of it than valid text of bounded length.
func bounded(t *testing.T, s Service, err error) {
	for _, value := range s.All {
		require.True(t, utf8.ValidString(value))
		require.LessOrEqual(t, len(value), maxValue)
	}
	if err != nil {
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func FuzzVariables(f *testing.F) {
	f.Add("shop", "service.name=a%20b,service.version=1")
	f.Add("", "service.name=%f,=,%")
	f.Fuzz(func(t *testing.T, name, attributes string) {
		s, _ := FromVariables(map[string]string{nameVariable: name, attributesVariable: attributes})
		bounded(t, s, nil)
	})
}

func FuzzContext(f *testing.F) {
	f.Add(ofResource(keyValue("service.name", "till")))
	f.Add(header(2, 100, 5, 0x7000))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := FromContext(b)
		bounded(t, s, err)
		if h, err := ParseHeader(b); err == nil && h.Published != 0 {
			require.LessOrEqual(t, h.Size, uint32(MaxPayload))
			require.GreaterOrEqual(t, h.Payload+uint64(h.Size), h.Payload)
		}
	})
}
