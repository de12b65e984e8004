import RetortCore
import RetortTensor

/// Serves requests from a dense cache with one row per sample. Used on CUDA, where steps with few shapes can be
/// recorded.
///
/// A prompt is read as soon as there is room, every step serves all running samples, and a finished sample frees its
/// row at once.
final class DenseBatch: SampleBatch {
    private let decoder: BatchDecoder
    private let prefixes: PrefixStore?
    private let contextLength: Int
    private let options: LocalModel.Options
    private var waiting = WaitingRequests()
    private var running: [RunningSample] = []

    init(_ network: DecoderNetwork, options: LocalModel.Options) {
        let records = options.device == .cuda && options.recordsSteps && DeviceGraph.refusal == nil
        decoder = BatchDecoder(network, stepping: options.stepping ?? (records ? .recorded : .growing))
        let configuration = network.configuration
        // Kept prefixes take at most a quarter of the cache's memory.
        let pageBytes = KeyValuePages.bytes(ofPage: configuration, network.embedTokens.dtype)
        let room = options.cacheBytes / 4 / max(pageBytes, 1) * KeyValuePages.pageTokens
        prefixes = options.prefixTokens > 0 ? PrefixStore(limit: min(options.prefixTokens, room)) : nil
        contextLength = configuration.maximumPositions
        self.options = options
    }

    var isEmpty: Bool { waiting.isEmpty && running.isEmpty }

    var waitingCount: Int { waiting.count }

    var cacheUse: CacheUse {
        CacheUse(budget: decoder.cacheBytes, running: decoder.cacheBytes, kept: prefixes?.bytes ?? 0)
    }

    /// Why steps are not recorded although they should be; nil if they are.
    var recordingFailure: String? { decoder.recordingFailure }

    func add(_ request: PendingRequest) { waiting.append(request) }

    func round() {
        do {
            try admit()
            try decode()
        } catch {
            for sample in running { sample.pending.finish(throwing: error) }
            running.removeAll()
        }
    }

    /// Reads the prompts of as many waiting requests as fit, in one packed row.
    private func admit() throws {
        var batch: [PendingRequest] = []
        var tokens = 0
        waiting.admit(running: running.count, most: options.maximumSamples) { request in
            guard batch.isEmpty || tokens + request.prompt.count <= options.prefillTokens else { return false }
            tokens += request.prompt.count
            batch.append(request)
            return true
        }
        guard !batch.isEmpty else { return }
        let started = batch.flatMap { pending in
            (0..<pending.request.samples).map { RunningSample(pending, index: $0) }
        }
        let prompts = batch.map { pending in
            BatchDecoder.Prompt(
                tokens: pending.prompt, samples: pending.request.samples, adapter: pending.adapter,
                known: prefixes?.match(pending.prompt, adapter: pending.adapter))
        }
        do {
            let choices = try decoder.prefill(prompts, firstRow: running.count, rows: started)
            running += started
            accept(choices, from: running.count - started.count)
        } catch {
            // They are no longer waiting and not running yet, so nobody else would tell them.
            for pending in batch { pending.finish(throwing: error) }
        }
    }

    private func decode() throws {
        for sample in running where sample.pending.isCancelled { sample.isFinished = true }
        try removeFinished()
        guard !running.isEmpty else { return }
        accept(try decoder.step(running), from: 0)
        try removeFinished()
    }

    /// Gives each sample from row `first` on its new token.
    private func accept(_ choices: [TokenChooser.Choice], from first: Int) {
        for (sample, choice) in zip(running[first...], choices) {
            sample.accept(choice, contextLength: contextLength)
        }
    }

    /// Keeps the tokens of a finished sample; for a request with several samples only the first's, since all share
    /// the prompt.
    private func keep(_ sample: RunningSample, row: Int) throws {
        guard let prefixes, sample.index == 0 else { return }
        let (tokens, adapter) = (sample.cached, sample.pending.adapter)
        guard prefixes.wants(tokens, adapter: adapter) else { return }
        prefixes.keep(try decoder.contents(row: row, of: tokens, adapter: adapter))
    }

    /// Fills the rows of finished samples with the last rows.
    private func removeFinished() throws {
        for row in running.indices.reversed() where running[row].isFinished {
            try keep(running[row], row: row)
            let last = running.count - 1
            if row != last {
                try decoder.move(row: last, to: row, length: running[last].length)
                running.swapAt(row, last)
            }
            running.removeLast()
        }
    }
}
