import Foundation
import RetortCore
import RetortTensor
import Synchronization

/// A checkpoint that runs in this process.
///
/// Requests from any number of tasks share one batch: a prompt is read as soon as there is room, every decoding step
/// serves all running samples, and a finished sample makes room at once. All samples of a request share a single
/// reading of the prompt.
///
/// ```swift
/// let model = try LocalModel(folder: URL(fileURLWithPath: "seedlings/3m"))
/// for try await event in model.stream(GenerationRequest(messages: [Message(.user, "Hello")])) { … }
/// ```
public actor LocalModel: LanguageModel {
    /// How much runs at once, and on which device.
    public struct Options: Sendable {
        /// The most samples that are decoded together.
        public var maximumSamples: Int
        /// The most requests that may wait.
        public var maximumWaiting: Int
        /// The most prompt tokens that are read in one pass.
        public var prefillTokens: Int
        /// The device that holds the weights.
        public var device: Device
        /// The precision of weights and computation; nil takes what is fastest here without loss
        /// (`WeightPrecision.usual`).
        public var weights: WeightPrecision?
        /// The most memory for keys and values, in bytes; requests that do not fit wait, and those that never could
        /// are refused.
        public var cacheBytes: Int
        /// Whether drafts of the next tokens are looked up in the text itself and checked in one pass, where that
        /// pays off. Drafts change no answer.
        public var drafts: Bool
        /// PEFT adapters that are served side by side over one set of weights, by the name that requests use.
        public var adapters: [String: URL]
        /// For how many tokens keys and values are kept for prompts with the same beginning, such as an agent's next
        /// step; 0 reads every prompt from the start. In bfloat16 and int8 on CPUs with AVX512-BF16 this changes no
        /// answer.
        public var prefixTokens: Int
        /// Whether decoding steps on CUDA are recorded and replayed (CUDA graphs), if possible. The cache then has
        /// room for the next power of two of samples and tokens.
        public var recordsSteps: Bool
        /// The default of `cacheBytes`: a quarter of the machine's memory.
        public static let usualCacheBytes = Int(ProcessInfo.processInfo.physicalMemory / 4)

        /// For tests; nil chooses by the device and the options.
        var stepping: BatchDecoder.Stepping?

        /// Whether keys and values are stored densely, one row per sample, instead of in pages.
        fileprivate var isDense: Bool { device == .cuda || stepping != nil }

        /// The default limits for one model, in the fastest lossless precision and without adapters.
        public init(
            maximumSamples: Int = 64, maximumWaiting: Int = 4096, prefillTokens: Int = 4096, device: Device = .cpu,
            weights: WeightPrecision? = nil, adapters: [String: URL] = [:], prefixTokens: Int = 0,
            cacheBytes: Int = Options.usualCacheBytes, drafts: Bool = true, recordsSteps: Bool = true
        ) {
            self.weights = weights
            self.cacheBytes = cacheBytes
            self.drafts = drafts
            self.recordsSteps = recordsSteps
            self.prefixTokens = prefixTokens
            self.adapters = adapters
            self.maximumSamples = maximumSamples
            self.maximumWaiting = maximumWaiting
            self.prefillTokens = prefillTokens
            self.device = device
        }
    }

    /// The name in records; by default that of the folder or file.
    public nonisolated let identity: String
    /// The number of weights, without adapters.
    public nonisolated let parameterCount: Int
    /// The precision in which the weights are held.
    public nonisolated let weights: WeightPrecision
    /// The memory of the weights in bytes, without adapters.
    public nonisolated let weightBytes: Int
    /// The longest prompt and completion together, in tokens.
    public nonisolated let contextLength: Int
    private nonisolated let executor: EngineExecutor
    private nonisolated let options: Options
    private nonisolated let vocabularySize: Int
    private nonisolated let voice: Voice
    /// The voices of adapters with their own tokenizer or chat template, by the adapter's number.
    private nonisolated let adapterVoices: [Int: Voice]
    private nonisolated let adapterNumbers: [String: Int]
    private let batch: any SampleBatch
    private let dense: DenseBatch?
    private let use: Mutex<CacheUse>
    /// The vocabularies for requests with a grammar, by adapter; created for the first such request.
    private var vocabularies: [Int?: TokenTrie] = [:]
    private var isLooping = false

    /// The thread on which the model computes.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens a Hugging Face folder, a GGUF file, or a folder with a PEFT adapter that names its base.
    /// - Parameter identity: the model's name in records; nil takes that of the folder or file.
    /// - Throws: `CheckpointError`, `TokenizerError`, or `WeightPrecisionError` when the device cannot hold the
    ///   weights so.
    public init(folder: URL, identity: String? = nil, options: Options = Options()) throws {
        let checkpoint = try Checkpoint(folder: folder)
        let weights = options.weights ?? .usual(on: options.device)
        try weights.check(options.device)
        let network = try checkpoint.network(dtype: weights.dtype, device: options.device)
        self.weights = weights
        self.options = options
        self.identity = identity ?? CheckpointSource.name(of: folder)
        parameterCount = network.parameterCount
        let names = options.adapters.keys.sorted()
        var voices: [Int: Voice] = [:]
        for (number, name) in names.enumerated() {
            guard let folder = options.adapters[name] else { continue }
            try AdapterFile.attach(folder, to: network, servedAs: number, over: checkpoint.folders.base)
            voices[number] = try Voice(adapter: folder)
        }
        adapterVoices = voices
        adapterNumbers = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
        if options.device == .cpu, let bits = weights.packing { try network.pack(bits) }
        weightBytes = network.weightBytes
        contextLength = network.configuration.maximumPositions
        vocabularySize = network.configuration.vocabularySize
        voice = checkpoint.voice
        if options.isDense {
            guard !network.configuration.carriesStates else {
                throw LocalModelError.carriesStates(network.configuration.architecture)
            }
            let dense = DenseBatch(network, options: options)
            self.dense = dense
            batch = dense
        } else {
            dense = nil
            batch = try PagedBatch(network, options: options)
        }
        let unused = batch.cacheUse
        use = Mutex(unused)
        // From here on the model computes on its own thread.
        ComputeThreads.release()
        executor = EngineExecutor(name: "retort.model")
    }

    deinit { executor.finish() }

    /// Why decoding steps are not recorded although they should be (CUDA graphs); nil if they are, or should not be.
    public var recordingFailure: String? {
        dense?.recordingFailure ?? (options.device == .cuda && options.recordsSteps ? DeviceGraph.refusal : nil)
    }

    /// Generates the samples of a request, as events in the order in which they are produced. A stream that is no
    /// longer read ends the request.
    /// - Throws: through the stream, `LanguageModelError` or `LocalModelError`.
    public nonisolated func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream(bufferingPolicy: .bufferingOldest(PendingRequest.longestBacklog)) { continuation in
            let voice = voice(of: request.adapter.flatMap { adapterNumbers[$0] })
            let pending = PendingRequest(request, voice, continuation)
            continuation.onTermination = { _ in pending.cancel() }
            Task { await self.admit(pending) }
        }
    }

    /// What is known about the reply before it is generated, from the chat template and the sampling settings.
    public nonisolated func profile(of request: GenerationRequest) -> ReplyProfile {
        voice(of: request.adapter.flatMap { adapterNumbers[$0] }).profile(of: request)
    }

    /// The settings of `generation_config.json` that are not supported, in words.
    public nonisolated var samplingNotes: [String] {
        ([voice] + adapterVoices.sorted { $0.key < $1.key }.map(\.value)).compactMap(\.drawing.note)
    }

    /// Renders the template and tokenises texts, in parallel with the thread that decodes.
    private nonisolated func admit(_ pending: PendingRequest) async {
        do {
            guard (1...options.maximumSamples).contains(pending.request.samples) else {
                throw LocalModelError.sampleCount(pending.request.samples, limit: options.maximumSamples)
            }
            if let name = pending.request.adapter {
                guard let number = adapterNumbers[name] else {
                    throw LanguageModelError.unknownAdapter(name, known: Array(adapterNumbers.keys))
                }
                pending.adapter = number
            }
            if let grammar = pending.request.grammar {
                // It is made here, and kept, so that the thread that decodes need not.
                _ = try await vocabulary(of: pending).automaton(for: grammar)
            }
            if pending.request.promptReport != nil, options.isDense { throw LocalModelError.noPromptReport }
            pending.prompt = try prompt(of: pending.request, in: pending.voice)
            guard pending.prompt.count < contextLength else {
                throw LanguageModelError.promptTooLong(tokens: pending.prompt.count, limit: contextLength)
            }
        } catch {
            return pending.finish(throwing: error)
        }
        await submit(pending)
    }

    private func submit(_ pending: PendingRequest) {
        do {
            guard batch.waitingCount < options.maximumWaiting else {
                throw LocalModelError.tooManyRequests(limit: options.maximumWaiting)
            }
            pending.constraint = pending.request.grammar.map { TokenConstraint($0, vocabulary(of: pending)) }
            try batch.add(pending)
        } catch {
            return pending.finish(throwing: error)
        }
        guard !isLooping else { return }
        isLooping = true
        Task { await self.loop() }
    }

    private nonisolated func voice(of adapter: Int?) -> Voice { adapter.flatMap { adapterVoices[$0] } ?? voice }

    private func vocabulary(of pending: PendingRequest) -> TokenTrie {
        let key = pending.adapter.flatMap { adapterVoices[$0] == nil ? nil : $0 }
        if let known = vocabularies[key] { return known }
        let vocabulary = TokenTrie(pending.voice.tokenizer, endTokens: pending.voice.endTokens)
        vocabularies[key] = vocabulary
        return vocabulary
    }

    private nonisolated func prompt(of request: GenerationRequest, in voice: Voice) throws -> [Int32] {
        let tokens: [Int32]
        switch request.plain {
        case .text(let text): tokens = voice.tokenizer.opening + voice.tokenizer.encode(text, specials: .recognised)
        case .tokens(let ids): tokens = ids
        case nil:
            do {
                var template = try request.templateArguments.map(voice.template.told) ?? voice.template
                if let tools = request.tools { template = try template.offering(tools) }
                tokens = try template.render(
                    request.messages, then: .generation(prefill: request.prefill), with: voice.tokenizer
                ).tokens
            } catch {
                throw LanguageModelError.unusablePrompt("\(error)")
            }
        }
        // A tokenizer may have more tokens than the weights.
        if let stranger = tokens.first(where: { !(0..<vocabularySize).contains(Int($0)) }) {
            throw LanguageModelError.unusablePrompt(
                "\(stranger) is no token; the vocabulary has 0 to \(vocabularySize - 1)")
        }
        guard !tokens.isEmpty else { throw LanguageModelError.unusablePrompt("it is empty") }
        return tokens
    }

    /// Works until nothing is left, letting new requests in between rounds.
    private func loop() async {
        while !batch.isEmpty {
            batch.round()
            use.withLock { $0 = batch.cacheUse }
            await Task.yield()
        }
        isLooping = false
    }

    /// The memory that keys and values use now.
    public nonisolated var cacheUse: CacheUse { use.withLock { $0 } }
}

/// Why a local model cannot take a request, or has ended it.
public enum LocalModelError: Error, CustomStringConvertible {
    /// As many requests are waiting as `maximumWaiting` allows.
    case tooManyRequests(limit: Int)
    /// The number of samples is not between 1 and the limit.
    case sampleCount(Int, limit: Int)
    /// The request needs room for more tokens than the cache has.
    case tooLarge(tokens: Int, limit: Int)
    /// The probabilities of a prompt's tokens are reported only on the CPU.
    case noPromptReport
    /// A family whose layers carry states is served only on the CPU.
    case carriesStates(String)
    /// This many events were waiting to be read.
    case slowReader(events: Int)

    /// The reason, with the remedy if there is one, for people.
    public var description: String {
        switch self {
        case .tooManyRequests(let limit):
            "\(limit) requests are already waiting for the model; wait for some to finish, or raise maximumWaiting"
        case .sampleCount(let count, let limit):
            "a request for \(count) samples cannot be served; ask for 1 to \(limit)"
        case .carriesStates(let architecture):
            "\(architecture) has layers that carry states from token to token, and is served on the CPU only; "
                + "choose the device cpu"
        case .noPromptReport:
            "the probabilities of a prompt's tokens are told on the CPU only; choose the device cpu"
        case .slowReader(let events):
            "\(events) events of the answer wait to be read, and no more are kept; read them as they come"
        case .tooLarge(let tokens, let limit):
            "the prompt and the longest answers are \(tokens) tokens, and the cache holds \(limit); ask for fewer samples or "
                + "tokens, or give the cache more memory"
        }
    }
}
