import RetortCore

/// What the APIs answer: facts of the world, or values derived from the arguments by a hash.
package struct APIBackend: Sendable {
    let world: World
    private let entities: [String: Int]
    private let schemas: [APICapability: JSONSchema]

    static let currencies = ["crown", "talent", "florin", "mark", "ducat", "guilder", "shilling", "thaler"]
    static let items = ["lamp", "kettle", "ladder", "mirror", "blanket", "hammer", "basket", "candle", "bell", "rope"]
    private static let states = ["packed", "sent", "delivered", "delayed"]

    /// A backend for a world's APIs. Throws only if a capability's own JSON schema is invalid.
    package init(_ world: World) throws {
        self.world = world
        entities = Dictionary(world.entities.map { ($0.name, $0.index) }, uniquingKeysWith: { first, _ in first })
        schemas = try Dictionary(
            uniqueKeysWithValues: APICapability.allCases.map { ($0, try JSONSchema($0.schema)) })
    }

    /// Why a call's arguments are refused; nil when they are valid.
    func fault(_ capability: APICapability, _ arguments: JSONValue) -> String? {
        (schemas[capability] ?? .anyObject).fault(in: arguments)
    }

    /// What a capability answers; nil when its subject does not exist.
    /// - Parameter cancelled: the numbers of the orders that were cancelled in this session.
    func value(_ capability: APICapability, _ arguments: JSONValue, cancelled: Set<Int>) -> JSONValue? {
        let subject = arguments[capability.subject.parameter]
        switch capability.subject {
        case .order:
            guard case .integer(let order) = subject else { return nil }
            return orderValue(capability, order, isCancelled: cancelled.contains(order))
        case .currency:
            guard let name = subject?.string, Self.currencies.contains(name) else { return nil }
        case .item:
            guard let name = subject?.string, Self.items.contains(name) else { return nil }
        case .entity(let kind):
            guard let name = subject?.string, let entity = entities[name], world.entities[entity].kind == kind else {
                return nil
            }
            if let relation = capability.relation { return world.value(relation, of: entity).map(json) }
            guard capability.extras != [.destination] || isCity(arguments["to"]) else { return nil }
        }
        return figure(capability, arguments)
    }

    private func json(_ value: World.Value) -> JSONValue {
        switch value {
        case .entity(let index): .string(world.entities[index].name)
        case .number(let number): .integer(number)
        }
    }

    private func isCity(_ value: JSONValue?) -> Bool {
        guard let name = value?.string, let entity = entities[name] else { return false }
        return world.entities[entity].kind == .city
    }

    private func orderValue(_ capability: APICapability, _ order: Int, isCancelled: Bool) -> JSONValue {
        let draw = Int(StableHash.of("\(capability.rawValue) \(order)") % 900)
        switch capability {
        case .orderTotal: return .integer(100 + draw)
        case .cancelOrder: return "cancelled"
        default: return isCancelled ? "cancelled" : .string(Self.states[draw % Self.states.count])
        }
    }

    private func figure(_ capability: APICapability, _ arguments: JSONValue) -> JSONValue {
        let draw = StableHash.of("\(capability.rawValue) \(arguments.jsonText)")
        func number(_ range: Range<Int>) -> JSONValue {
            .integer(range.lowerBound + Int(draw % UInt64(range.count)))
        }
        return switch capability {
        case .phoneNumber: number(100_000..<1_000_000)
        case .temperature: number(1..<40)
        case .rainfall: number(1..<90)
        case .currency: .string(Self.currencies[Int(draw % UInt64(Self.currencies.count))])
        case .exchangeRate: number(2..<60)
        case .distance: number(40..<2000)
        case .fare: number(10..<700)
        case .holiday, .marketDay: number(1..<29)
        case .roomPrice: number(40..<900)
        case .openingHour: number(7..<12)
        case .price: number(5..<400)
        default: number(1..<500)
        }
    }
}
