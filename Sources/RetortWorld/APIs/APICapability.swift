import RetortCore

/// Something that the built-in world's APIs can do, independent of the provider.
///
/// The phrases are used in three places: the question (`What is {phrase}?`), the teacher's thoughts, and, with general
/// words for the parameters, the API's document.
public enum APICapability: String, CaseIterable, Sendable, Codable {
    // Directory of people.
    case birthplace, birthYear = "birth_year", employer, spouse, phoneNumber = "phone_number"
    // Atlas.
    case country, mayor, population
    // Governments.
    case capital, leader
    // Register of organisations.
    case founder, foundingYear = "founding_year", headquarters
    // Library.
    case author, publisher, publicationYear = "publication_year"
    // Weather.
    case temperature, rainfall
    // Money.
    case currency, exchangeRate = "exchange_rate"
    // Travel.
    case distance, fare
    // Calendar.
    case holiday, marketDay = "market_day"
    // Hotels and museums.
    case roomPrice = "room_price", openingHour = "opening_hour"
    // Shop.
    case price, stock
    // Orders.
    case orderStatus = "order_status", orderTotal = "order_total", cancelOrder = "cancel_order"

    /// The kind of service that offers it.
    public var category: String {
        switch self {
        case .birthplace, .birthYear, .employer, .spouse, .phoneNumber: "directory"
        case .country, .mayor, .population: "atlas"
        case .capital, .leader: "government"
        case .founder, .foundingYear, .headquarters: "register"
        case .author, .publisher, .publicationYear: "library"
        case .temperature, .rainfall: "weather"
        case .currency, .exchangeRate: "money"
        case .distance, .fare: "travel"
        case .holiday, .marketDay: "calendar"
        case .roomPrice: "hotels"
        case .openingHour: "museums"
        case .price, .stock: "shop"
        case .orderStatus, .orderTotal, .cancelOrder: "orders"
        }
    }

    /// Kept out of all training tasks: no student has seen them.
    static let heldOut: Set<APICapability> = [
        .publisher, .leader, .phoneNumber, .rainfall, .fare, .marketDay, .openingHour, .stock, .orderTotal,
    ]

    /// The encyclopedia's fact behind it; nil when it has none.
    var relation: Relation? {
        switch self {
        case .birthplace: .birthplace
        case .birthYear: .birthYear
        case .employer: .employer
        case .spouse: .spouse
        case .country: .country
        case .mayor: .mayor
        case .population: .population
        case .capital: .capital
        case .leader: .leader
        case .founder: .founder
        case .foundingYear: .foundingYear
        case .headquarters: .headquarters
        case .author: .author
        case .publisher: .publisher
        case .publicationYear: .publicationYear
        default: nil
        }
    }

    /// What the first parameter names.
    public var subject: APISubject {
        if let relation { return .entity(relation.subject) }
        return switch self {
        case .phoneNumber: .entity(.person)
        case .currency, .holiday: .entity(.country)
        case .exchangeRate: .currency
        case .price, .stock: .item
        case .orderStatus, .orderTotal, .cancelOrder: .order
        default: .entity(.city)
        }
    }

    /// The parameters after the first.
    var extras: [APIExtra] {
        switch self {
        case .temperature, .rainfall: [.day]
        case .distance, .fare: [.destination]
        case .roomPrice: [.nights]
        default: []
        }
    }

    /// The kind of entity that the result names; nil for a number, or a word that is not an entity.
    var result: EntityKind? { relation?.value }

    /// The name of what is returned.
    var resultKey: String { rawValue }

    /// `{s}` stands for the subject; extra parameters stand as `{name}`.
    var phrase: String {
        switch self {
        case .temperature, .rainfall: "the \(words) in {s} on day {day}"
        case .distance, .fare: "the \(words) from {s} to {to}"
        case .roomPrice: "the room price in {s} for {nights} nights"
        case .exchangeRate: "the exchange rate of the {s}"
        case .openingHour: "the opening hour of the museum in {s}"
        case .marketDay, .holiday: "the \(words) in {s}"
        case .orderStatus: "the status of order {s}"
        case .orderTotal: "the total of order {s}"
        case .cancelOrder: "the cancellation of order {s}"
        case .currency: "the currency of {s}"
        default: "the \(words) of {s}"
        }
    }

    /// The name as words.
    var words: String { rawValue.replacing("_", with: " ") }

    /// What the API's document says.
    var summary: String {
        if self == .cancelOrder { return "Cancels an order." }
        let general = phrase.replacing("{s}", with: subject.general).replacing("{day}", with: "…")
            .replacing("{to}", with: "another").replacing("{nights}", with: "some")
        return general.prefix(1).uppercased() + general.dropFirst() + "."
    }

    /// The arguments' JSON schema.
    var schema: JSONValue {
        var properties: [String: JSONValue] = [subject.parameter: subject.schema]
        for extra in extras { properties[extra.parameter] = extra.schema }
        return [
            "type": "object", "properties": .object(properties),
            "required": .array(properties.keys.sorted().map(JSONValue.string)), "additionalProperties": false,
        ]
    }

    /// The parameters as the document shows them.
    var input: JSONValue {
        guard let properties = schema["properties"]?.object else { return [:] }
        return .object(properties.mapValues { $0["type"] ?? "string" })
    }
}

/// What an API is asked about.
public enum APISubject: Sendable, Hashable {
    /// The name of an entity of this kind.
    case entity(EntityKind)
    /// The name of a currency.
    case currency
    /// The name of an item of the shop.
    case item
    /// The number of an order.
    case order

    var isEntity: Bool { if case .entity = self { true } else { false } }

    /// The parameter's name.
    var parameter: String {
        switch self {
        case .entity(.work): "book"
        case .entity(let kind): kind.rawValue
        case .currency: "currency"
        case .item: "item"
        case .order: "order"
        }
    }

    var general: String {
        switch self {
        case .entity(.organisation): "an organisation"
        case .order: "a number"
        case .item: "an item"
        default: "a \(parameter)"
        }
    }

    var schema: JSONValue {
        switch self {
        case .order: ["type": "integer", "minimum": 1000, "maximum": 9999]
        default: ["type": "string", "maxLength": 80]
        }
    }
}

/// A further parameter.
enum APIExtra: Sendable, Hashable {
    case day, nights, destination

    var parameter: String {
        switch self {
        case .day: "day"
        case .nights: "nights"
        case .destination: "to"
        }
    }

    var schema: JSONValue {
        switch self {
        case .day: ["type": "integer", "minimum": 1, "maximum": 31]
        case .nights: ["type": "integer", "minimum": 1, "maximum": 14]
        case .destination: ["type": "string", "maxLength": 80]
        }
    }
}
