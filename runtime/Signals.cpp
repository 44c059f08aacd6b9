// Stopping and saving on request.

#include "runtime/Signals.h"

#include <csignal>

static volatile std::sig_atomic_t stopWith = 0;
static volatile std::sig_atomic_t saveAsked = 0;

static void onStop(int signal) {
  if (stopWith) {
    // Blocked while this handler runs, so it ends the process on return.
    std::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  stopWith = signal;
}

static void onSave(int) { saveAsked = 1; }

void dsc::installTrainingSignals() {
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = onStop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = onSave;
  sigaction(SIGUSR1, &action, nullptr);
}

int dsc::stopSignal() { return stopWith; }

bool dsc::takeSaveRequest() {
  bool asked = saveAsked;
  saveAsked = 0;
  return asked;
}
