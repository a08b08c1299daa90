// Search on pages that are opened from disk, where browsers refuse to start a worker of a file: its script
// runs in a hidden frame of the page instead, and messages go both ways as a worker's do.
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(address) {
      super();
      this.onmessage = null;
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      // The script asks for its libraries in the way of workers; a frame loads them in order.
      const script = JSON.stringify(String(new URL(address, location.href)));
      this.frame.srcdoc = `<script>
        var loading = Promise.resolve();
        function importScripts(...addresses) {
          for (const address of addresses) loading = loading.then(() => new Promise((done, failed) => {
            const script = document.createElement("script");
            script.src = address; script.onload = done; script.onerror = failed;
            document.head.append(script);
          }));
          return loading;
        }
        function postMessage(data) { parent.postMessage({ ofWorker: ${script}, data }, "*"); }
        importScripts(${script}).then(() => parent.postMessage({ ofWorker: ${script}, ready: true }, "*"));
      <\/script>`;
      window.addEventListener("message", (event) => {
        if (event.source !== this.frame.contentWindow) return;
        if (event.data.ready) {
          const waiting = this.waiting;
          this.waiting = null;
          waiting.forEach((data) => this.postMessage(data));
          return;
        }
        const message = new MessageEvent("message", { data: event.data.data });
        this.dispatchEvent(message);
        if (this.onmessage) this.onmessage(message);
      });
      document.documentElement.append(this.frame);
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else {
        const { contentWindow: frame } = this.frame;
        frame.dispatchEvent(new frame.MessageEvent("message", { data }));
      }
    }
    terminate() {
      this.frame.remove();
    }
  };
}
