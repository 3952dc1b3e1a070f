// Beeps as sound, once somebody has switched that on. As words they are always there.
let audio = null;

export function switchSound() {
  audio = audio ? (audio.close(), null) : new AudioContext();
  return Boolean(audio);
}

export function beep(durationMs) {
  if (!audio) return;
  const tone = audio.createOscillator(), level = audio.createGain();
  tone.frequency.value = 2300;
  level.gain.value = 0.05;
  tone.connect(level).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + durationMs / 1000);
}
