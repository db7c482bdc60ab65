// Samples of one lead -> a wire v1 chunk (docs/wire.md), and a ring that keeps chunks while nobody listens.
// Plain C++11 without Arduino, so that it can be compiled and tested anywhere.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace wire_v1 {

const size_t kHeaderBytes = 48;
const uint8_t kLeadOff = 1, kGapBefore = 8, kClockUnsynced = 16;
const uint8_t kLeadI = 1;

struct Chunk {
  uint8_t flags;
  uint8_t lead;
  uint32_t session;       // drawn anew at each start
  uint32_t seq;           // counts chunks
  uint64_t first_sample;  // index of the first sample in the session; it goes on over a gap
  int64_t wall_us;        // Unix microseconds at the first sample; 0 while no clock was set
  int64_t device_ns;      // uptime at the first sample
  uint32_t fs_mhz;
  uint16_t n_samples;
  uint16_t nv_per_unit;
  const int16_t *samples;
};

template <typename T> inline uint8_t *put(uint8_t *at, T value) {  // the least byte first, on any machine
  for (size_t k = 0; k < sizeof(T); ++k) *at++ = (uint8_t)((uint64_t)value >> (8 * k));
  return at;
}

inline size_t encoded_bytes(const Chunk &chunk) { return kHeaderBytes + 2 * (size_t)chunk.n_samples; }

// Writes encoded_bytes(chunk) bytes to `out`.
inline void encode(const Chunk &chunk, uint8_t *out) {
  uint8_t *at = out;
  *at++ = 0xEC;
  *at++ = 0x47;
  *at++ = 1;  // version
  *at++ = chunk.flags;
  *at++ = 0;  // encoding: int16
  *at++ = 1;  // leads
  *at++ = chunk.lead;
  *at++ = 0;  // reserved
  at = put(at, chunk.session);
  at = put(at, chunk.seq);
  at = put(at, chunk.first_sample);
  at = put(at, chunk.wall_us);
  at = put(at, chunk.device_ns);
  at = put(at, chunk.fs_mhz);
  at = put(at, chunk.n_samples);
  at = put(at, chunk.nv_per_unit);
  for (uint16_t k = 0; k < chunk.n_samples; ++k) at = put(at, (uint16_t)chunk.samples[k]);
}

// Chunks in order until they are acknowledged; when it is full the oldest goes. N slots of M bytes.
template <size_t N, size_t M> class Outbox {
 public:
  struct Slot {
    size_t n_bytes;
    int64_t made_us;  // uptime
    int message_id;   // of the broker's acknowledgement; -1 before it is sent
    bool is_done;
    uint8_t bytes[M];
  };

  Slot *add(int64_t made_us, size_t n_bytes) {  // its bytes are to be filled; NULL where they have no room
    if (n_bytes > M) return NULL;
    if (count_ == N) drop();
    Slot *slot = &slots_[(first_ + count_++) % N];
    slot->n_bytes = n_bytes;
    slot->made_us = made_us;
    slot->message_id = -1;
    slot->is_done = false;
    return slot;
  }

  Slot *next(size_t most_under_way) {  // the oldest that is to be sent; NULL when none is, or enough are on their way
    size_t under_way = 0;
    for (size_t k = 0; k < count_; ++k) {
      Slot *slot = &slots_[(first_ + k) % N];
      if (slot->message_id < 0 && !slot->is_done) return under_way < most_under_way ? slot : NULL;
      under_way += !slot->is_done;
    }
    return NULL;
  }

  void acknowledge(int message_id) {
    for (size_t k = 0; k < count_; ++k) {
      Slot *slot = &slots_[(first_ + k) % N];
      if (slot->message_id == message_id && !slot->is_done) slot->is_done = true;
    }
    while (count_ > 0 && slots_[first_].is_done) forget();
  }

  void send_again() {  // the connection was lost
    for (size_t k = 0; k < count_; ++k) slots_[(first_ + k) % N].message_id = -1;
  }

  size_t count() const { return count_; }
  uint32_t dropped() const { return dropped_; }

 private:
  void forget() {
    first_ = (first_ + 1) % N;
    --count_;
  }
  void drop() {
    dropped_ += !slots_[first_].is_done;
    forget();
  }
  Slot slots_[N];
  size_t first_ = 0, count_ = 0;
  uint32_t dropped_ = 0;
};

}  // namespace wire_v1
