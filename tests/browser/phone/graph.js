'use strict';
// A graph of the last minute: one line a series, a scale that grows with its values, drawn for the screen's own pixels.
class Graph {
  constructor(canvas, { series, unit, seconds = 60, least = 1 }) {
    Object.assign(this, { canvas, series, unit, seconds, least, samples: [] });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  clear() {
    this.samples = [];
    this.draw();
  }

  // `values` has a number for each series, or null where there is nothing to show.
  add(time, values) {
    this.samples.push({ time, values });
    while (this.samples[0].time < time - this.seconds * 1000) this.samples.shift();
    this.draw();
  }

  draw() {
    const { canvas, samples } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext('2d');
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const [left, right, top, bottom] = [46, width - 10, 12, height - 20];

    const highest = Math.max(this.least, ...samples.flatMap((sample) => sample.values.map((value) => value ?? 0)));
    const step = 10 ** Math.floor(Math.log10(highest)) / 2;
    const ceiling = Math.ceil((highest * 1.08) / step) * step;
    const y = (value) => bottom - (value / ceiling) * (bottom - top);
    const last = samples.at(-1)?.time ?? 0;
    const x = (time) => right - ((last - time) / (this.seconds * 1000)) * (right - left);

    pen.font = '11px system-ui, sans-serif';
    pen.fillStyle = style.getPropertyValue('--soft');
    pen.strokeStyle = style.getPropertyValue('--line');
    pen.lineWidth = 1;
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    for (const part of [0, 0.5, 1]) {
      const value = ceiling * part;
      pen.fillText(Number(value.toPrecision(3)) + (part === 1 ? this.unit : ''), left - 8, y(value));
      pen.beginPath();
      pen.moveTo(left, Math.round(y(value)) + 0.5);
      pen.lineTo(right, Math.round(y(value)) + 0.5);
      pen.stroke();
    }
    pen.textBaseline = 'alphabetic';
    for (let ago = 0; ago <= this.seconds; ago += 15) {
      pen.textAlign = ago === 0 ? 'right' : 'center';
      pen.fillText(ago === 0 ? 'now' : `-${ago} s`, x(last - ago * 1000), height - 5);
    }

    pen.lineWidth = 2;
    pen.lineJoin = 'round';
    this.series.forEach((name, index) => {
      pen.strokeStyle = style.getPropertyValue(`--${name}`);
      pen.setLineDash(index === 1 ? [6, 4] : []);
      pen.beginPath();
      let drawing = false;
      for (const { time, values } of samples) {
        if (values[index] === null) {
          drawing = false;
          continue;
        }
        pen[drawing ? 'lineTo' : 'moveTo'](x(time), y(values[index]));
        drawing = true;
      }
      pen.stroke();
    });
    pen.setLineDash([]);
  }
}
