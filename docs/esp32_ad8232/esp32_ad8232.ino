// ESP32 + AD8232 -> Wristlead: 250 Hz, wire v1 with QoS 1, exact gaps, two minutes of its own buffer.
//
// Board: any ESP32 with the core "esp32 by Espressif Systems" 3.x (its MQTT client needs no library).
// Wiring: AD8232 OUTPUT -> GPIO 34, LO+ -> GPIO 32, LO- -> GPIO 33, 3.3V, GND. Electrodes RA, LA, RL: lead I.
// For education and research. Not a medical device. Run it from a battery, never from a mains charger, while
// electrodes are on somebody.
#include <WiFi.h>
#include <atomic>
#include <esp_random.h>
#include <esp_timer.h>
#include <mqtt_client.h>
#include <sys/time.h>
#include "wire_v1.h"

// --- yours ---
const char *kWifi = "your network", *kWifiPassword = "its password";
const char *kBroker = "mqtt://192.168.1.10:1883";
#define DEVICE "home/esp32-1"
// What 1 mV at the pin is at the skin: boards with the "heart rate monitor" circuit amplify 1100 times
// (909 nV). Measure yours: a wrong gain makes every height wrong, and no finding would be true.
const uint16_t kNvPerMv = 909;
const int kMiddleMv = 1650;  // half of the supply, where the AD8232 rests
// -------------

const uint32_t kFs = 250;                   // Hz
const uint16_t kChunk = 100;                // samples: 0.4 s
const size_t kKept = 300;                   // chunks: two minutes, 80 kB
const int64_t kLiveUs = 5000000;            // what is older goes as backfill: never as the present
const size_t kUnderWay = 8;
const int kOutput = 34, kLeadOffPlus = 32, kLeadOffMinus = 33;

struct Sample {
  uint64_t index;
  int16_t value;
  bool is_off;
};
const uint32_t kRing = 512;  // two seconds between the timer and loop()
Sample ring[kRing];
std::atomic<uint32_t> written{0}, taken{0};
uint64_t next_index = 0;  // counts every tick, so that what is dropped leaves its gap

wire_v1::Outbox<kKept, wire_v1::kHeaderBytes + 2 * kChunk> outbox;
esp_mqtt_client_handle_t client;
QueueHandle_t acknowledged;
std::atomic<bool> is_up{false}, was_lost{false};
uint32_t session, seq = 0;
int64_t began_us;

void sample(void *) {
  const uint64_t index = next_index++;
  const uint32_t at = written.load();
  if (at - taken.load() >= kRing) return;
  const bool is_off = digitalRead(kLeadOffPlus) || digitalRead(kLeadOffMinus);
  ring[at % kRing] = {index, (int16_t)((int)analogReadMilliVolts(kOutput) - kMiddleMv), is_off};
  written.store(at + 1);
}

void on_mqtt(void *, esp_event_base_t, int32_t id, void *data) {
  esp_mqtt_event_handle_t event = (esp_mqtt_event_handle_t)data;
  if (id == MQTT_EVENT_CONNECTED) {
    esp_mqtt_client_publish(client, "ecg/v1/" DEVICE "/meta",
                            "{\"model\":\"ESP32 AD8232\",\"lead\":\"I\",\"unit\":\"uV\",\"fs\":250}", 0, 1, 1);
    esp_mqtt_client_publish(client, "ecg/v1/" DEVICE "/status", "{\"online\":true}", 0, 1, 1);
    is_up = true;
  } else if (id == MQTT_EVENT_DISCONNECTED) {
    is_up = false;
    was_lost = true;
  } else if (id == MQTT_EVENT_PUBLISHED) {
    xQueueSend(acknowledged, &event->msg_id, 0);
  }
}

void setup() {
  pinMode(kLeadOffPlus, INPUT);
  pinMode(kLeadOffMinus, INPUT);
  session = esp_random();
  acknowledged = xQueueCreate(64, sizeof(int));
  WiFi.begin(kWifi, kWifiPassword);
  WiFi.setAutoReconnect(true);
  configTime(0, 0, "pool.ntp.org");

  esp_mqtt_client_config_t config = {};
  config.broker.address.uri = kBroker;
  config.credentials.client_id = "esp32-" DEVICE;
  config.session.keepalive = 5;
  config.session.last_will.topic = "ecg/v1/" DEVICE "/status";
  config.session.last_will.msg = "{\"online\":false}";
  config.session.last_will.qos = 1;
  config.session.last_will.retain = 1;
  client = esp_mqtt_client_init(&config);
  esp_mqtt_client_register_event(client, (esp_mqtt_event_id_t)ESP_EVENT_ANY_ID, on_mqtt, NULL);
  esp_mqtt_client_start(client);

  esp_timer_create_args_t ticking = {};
  ticking.callback = sample;
  ticking.name = "ecg";
  esp_timer_handle_t timer;
  esp_timer_create(&ticking, &timer);
  began_us = esp_timer_get_time();
  esp_timer_start_periodic(timer, 1000000 / kFs);
}

// The next kChunk samples, or fewer before a gap or where an electrode comes off: one chunk tells one story.
bool cut_chunk(int16_t *samples, wire_v1::Chunk *chunk) {
  static uint64_t expected = 0;
  const uint32_t from = taken.load(), waiting = written.load() - from;
  if (waiting < kChunk) return false;
  const Sample first = ring[from % kRing];
  uint16_t n = 0;
  while (n < kChunk) {
    const Sample &each = ring[(from + n) % kRing];
    if (each.index != first.index + n || each.is_off != first.is_off) break;
    samples[n++] = each.value;
  }
  taken.store(from + n);
  timeval now;
  gettimeofday(&now, NULL);
  const bool is_set = now.tv_sec > 1600000000;  // else it still counts from 1970
  const int64_t uptime_us = esp_timer_get_time();
  const int64_t at_us = began_us + (int64_t)((first.index + 1) * 1000000 / kFs);
  const int64_t now_us = (int64_t)now.tv_sec * 1000000 + now.tv_usec;
  chunk->flags = (first.is_off ? wire_v1::kLeadOff : 0) | (first.index != expected ? wire_v1::kGapBefore : 0) |
                 (is_set ? 0 : wire_v1::kClockUnsynced);
  chunk->lead = wire_v1::kLeadI;
  chunk->session = session;
  chunk->seq = seq++;
  chunk->first_sample = first.index;
  chunk->wall_us = is_set ? now_us - (uptime_us - at_us) : 0;
  chunk->device_ns = at_us * 1000;
  chunk->fs_mhz = kFs * 1000;
  chunk->n_samples = n;
  chunk->nv_per_unit = kNvPerMv;
  chunk->samples = samples;
  expected = first.index + n;
  return true;
}

void loop() {
  static int16_t samples[kChunk];
  wire_v1::Chunk chunk;
  while (cut_chunk(samples, &chunk)) {
    auto *slot = outbox.add(esp_timer_get_time(), wire_v1::encoded_bytes(chunk));
    if (slot != NULL) wire_v1::encode(chunk, slot->bytes);
  }
  int message_id;
  while (xQueueReceive(acknowledged, &message_id, 0) == pdTRUE) outbox.acknowledge(message_id);
  if (was_lost.exchange(false)) outbox.send_again();
  while (is_up) {
    auto *slot = outbox.next(kUnderWay);
    if (slot == NULL) break;
    const bool is_late = esp_timer_get_time() - slot->made_us > kLiveUs;
    const char *topic = is_late ? "ecg/v1/" DEVICE "/backfill" : "ecg/v1/" DEVICE "/chunk";
    slot->message_id = esp_mqtt_client_publish(client, topic, (const char *)slot->bytes, slot->n_bytes, 1, 0);
    if (slot->message_id < 0) break;
  }
  delay(10);
}
