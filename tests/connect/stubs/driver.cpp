// Runs the sketch on a stand-in of its board and prints each publication: topic, retain, bytes in hex.
// 60 s: clock set after 2 s; electrode off 10-12 s; broker away 20-30 s; loop() stuck 40-45 s.
#include <sys/time.h>
int board_time(timeval *now, void *);
#define gettimeofday board_time
#include "esp32_ad8232.ino"

int64_t board_us = 1000000, board_wall_s = 0;
bool board_lead_off = false, board_connected = false;
int board_mv = 0, board_message = 0;
std::vector<int> board_sent;
WiFiStandIn WiFi;

int board_time(timeval *now, void *) {
  now->tv_sec = board_wall_s + board_us / 1000000;
  now->tv_usec = board_us % 1000000;
  return 0;
}

int esp_mqtt_client_publish(esp_mqtt_client_handle_t, const char *topic, const char *data, int len, int, int retain) {
  if (!board_connected) return -1;
  if (len == 0) len = (int)strlen(data);
  printf("%s %d ", topic, retain);
  for (int k = 0; k < len; ++k) printf("%02x", (unsigned char)data[k]);
  printf("\n");
  board_sent.push_back(++board_message);
  return board_message;
}

void tell(int32_t id, int message_id = 0) {
  esp_mqtt_event_t event = {message_id};
  if (id == MQTT_EVENT_CONNECTED) board_connected = true;
  on_mqtt(nullptr, nullptr, id, &event);
}

int main() {
  setup();
  tell(MQTT_EVENT_CONNECTED);
  for (int tick = 0; tick < 60 * 250; ++tick) {
    if (tick == 500) board_wall_s = 1790000000;
    board_lead_off = tick >= 2500 && tick < 3000;
    if (tick == 5000) {  // what was not acknowledged is lost with the connection
      board_connected = false;
      board_sent.clear();
      tell(MQTT_EVENT_DISCONNECTED);
    }
    if (tick == 7500) tell(MQTT_EVENT_CONNECTED);
    board_us += 4000;
    board_mv = kMiddleMv + tick % 3000 - 1500;  // the sample says which it is
    sample(nullptr);
    if (tick % 5 == 0 && !(tick >= 10000 && tick < 11250)) loop();
    if (tick % 25 == 0) {  // acknowledgements come a tenth of a second later
      for (int id : board_sent) tell(MQTT_EVENT_PUBLISHED, id);
      board_sent.clear();
    }
  }
  printf("dropped %u waiting %zu\n", outbox.dropped(), outbox.count());
}
