import RetortLLM
import RetortServer

/// The figures that `/metrics` reports about the models in this process: their weights, and the memory of keys and
/// values.
enum ModelGauges {
    /// - Parameter models: the models by the names that they are served under.
    static func of(_ models: [(name: String, model: LocalModel)]) -> [Gauge] {
        let now = models.map { (name: $0.name, model: $0.model, use: $0.model.cacheUse) }
        func gauges(_ name: String, _ help: String, _ value: (CacheUse) -> Int) -> [Gauge] {
            now.map { Gauge(name, help, labels: [("model", $0.name)], Double(value($0.use))) }
        }
        return now.map {
            Gauge(
                "retort_weights_bytes", "Memory of a model's weights.",
                labels: [("model", $0.name), ("precision", $0.model.weights.rawValue)], Double($0.model.weightBytes))
        }
            + gauges("retort_cache_budget_bytes", "The most that keys and values may take.", \.budget)
            + gauges(
                "retort_cache_used_bytes", "What requests under way hold of it, each shared part once.", \.running)
            + gauges(
                "retort_cache_kept_bytes", "What is kept of earlier requests, until room is needed.", \.kept)
            + gauges(
                "retort_cache_reserved_bytes", "What requests under way may still come to need.", \.reserved)
            + gauges("retort_cache_token_bytes", "What one token takes.", \.token)
            + gauges("retort_cache_shared_pages", "Pages that several requests under way share.", \.sharedPages)
            + gauges("retort_cache_sequences", "Texts under way: prompts being read, and answers.", \.sequences)
            + gauges(
                "retort_cache_tokens", "Their tokens, those of a shared beginning counted in each.", \.tokens)
    }
}
