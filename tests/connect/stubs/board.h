// Stand-ins for what the sketch uses of an ESP32, with a clock and pins that the driver moves. Not a board.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <vector>

extern int64_t board_us, board_wall_s;
extern bool board_lead_off;
extern int board_mv;

enum { INPUT = 0, pdTRUE = 1 };
inline void pinMode(int, int) {}
inline int digitalRead(int pin) { return pin == 32 && board_lead_off; }
inline uint32_t analogReadMilliVolts(int) { return (uint32_t)board_mv; }
inline void delay(int) {}
inline void configTime(long, int, const char *) {}
inline uint32_t esp_random() { return 0x9f3c21d0; }
inline int64_t esp_timer_get_time() { return board_us; }

struct WiFiStandIn {
  void begin(const char *, const char *) {}
  void setAutoReconnect(bool) {}
};
extern WiFiStandIn WiFi;

typedef std::deque<int> *QueueHandle_t;
inline QueueHandle_t xQueueCreate(int, size_t) { return new std::deque<int>; }
inline void xQueueSend(QueueHandle_t queue, const int *id, int) { queue->push_back(*id); }
inline int xQueueReceive(QueueHandle_t queue, int *id, int) {
  if (queue->empty()) return 0;
  *id = queue->front();
  queue->pop_front();
  return pdTRUE;
}

typedef void (*esp_timer_cb_t)(void *);
struct esp_timer_create_args_t {
  esp_timer_cb_t callback;
  void *arg;
  int dispatch_method;
  const char *name;
};
typedef void *esp_timer_handle_t;
inline int esp_timer_create(const esp_timer_create_args_t *, esp_timer_handle_t *) { return 0; }
inline int esp_timer_start_periodic(esp_timer_handle_t, uint64_t) { return 0; }

typedef const char *esp_event_base_t;
enum esp_mqtt_event_id_t { MQTT_EVENT_CONNECTED = 1, MQTT_EVENT_DISCONNECTED, MQTT_EVENT_PUBLISHED = 5 };
enum { ESP_EVENT_ANY_ID = -1 };
struct esp_mqtt_event_t {
  int msg_id;
};
typedef esp_mqtt_event_t *esp_mqtt_event_handle_t;
struct esp_mqtt_client_config_t {
  struct { struct { const char *uri; } address; } broker;
  struct { const char *client_id; } credentials;
  struct {
    struct { const char *topic, *msg; int msg_len, qos, retain; } last_will;
    int keepalive;
  } session;
};
typedef void *esp_mqtt_client_handle_t;
typedef void (*esp_event_handler_t)(void *, esp_event_base_t, int32_t, void *);
inline esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *) { return nullptr; }
inline int esp_mqtt_client_register_event(esp_mqtt_client_handle_t, esp_mqtt_event_id_t, esp_event_handler_t, void *) {
  return 0;
}
inline int esp_mqtt_client_start(esp_mqtt_client_handle_t) { return 0; }
int esp_mqtt_client_publish(esp_mqtt_client_handle_t, const char *topic, const char *data, int len, int qos, int retain);
